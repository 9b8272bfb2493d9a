import { expect, test } from 'vitest';

import { CallFailed } from './http';
import { refusalOf } from './systemMessages';

test('what the server holds against a field is found at that field', () => {
  const detail = [
    { type: 'string_too_short', loc: ['body', 'message'], msg: 'String should have at least 1 character' },
    { type: 'literal_error', loc: ['body', 'level'], msg: "Input should be 'info'" },
  ];
  expect(refusalOf(new CallFailed(422, detail))).toEqual({
    kind: 'invalid',
    fields: { message: 'String should have at least 1 character', level: "Input should be 'info'" },
    text: '',
  });
});

test('of a union of targets, the reason that is about users counts', () => {
  const detail = [
    { type: 'literal_error', loc: ['body', 'target'], msg: "Input should be 'admin' or 'all'" },
    { type: 'value_error', loc: ['body', 'target', 'users', 0], msg: "not a user id: 'a b'" },
  ];
  expect(refusalOf(new CallFailed(422, detail))).toMatchObject({ fields: { target: "not a user id: 'a b'" } });
});

test('a reason without a field is told as it is', () => {
  const detail = [{ type: 'dict_type', loc: ['body'], msg: 'a JSON object is needed' }];
  expect(refusalOf(new CallFailed(422, detail))).toEqual({
    kind: 'invalid',
    fields: {},
    text: 'a JSON object is needed',
  });
});

test.each([
  [0, 'unreachable'],
  [401, 'unauthenticated'],
  [403, 'forbidden'],
  [409, 'conflict'],
  [413, 'tooLarge'],
  [503, 'unavailable'],
  [500, 'unexpected'],
])('%i is %s', (status, kind) => {
  expect(refusalOf(new CallFailed(status, 'why'))).toMatchObject({ kind });
});

test('an error of our own is not taken for a refusal', () => {
  expect(() => refusalOf(new TypeError('a bug'))).toThrow('a bug');
});
