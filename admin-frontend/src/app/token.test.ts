import { afterEach, expect, test } from 'vitest';

import { storedToken, storeToken, takeTokenFromAddress } from './token';

const TOKEN = `x.${btoa(JSON.stringify({ sub: '1', exp: 4_000_000_000, is_admin: true }))}.y`;

afterEach(() => {
  storeToken(null);
  history.replaceState(null, '', '/');
});

test('a token in the address is kept, and leaves the address', () => {
  history.replaceState(null, '', `/?lang=en#token=${TOKEN}`);
  takeTokenFromAddress();
  expect(storedToken()).toBe(TOKEN);
  expect(location.href).toMatch(/\/\?lang=en$/);
});

test('what is no token is not kept, and leaves the address as well', () => {
  storeToken(TOKEN);
  history.replaceState(null, '', '/#token=nonsense');
  takeTokenFromAddress();
  expect(storedToken()).toBe(TOKEN);
  expect(location.hash).toBe('');
});

test('another fragment is left alone', () => {
  history.replaceState(null, '', '/#history');
  takeTokenFromAddress();
  expect(storedToken()).toBeNull();
  expect(location.hash).toBe('#history');
});
