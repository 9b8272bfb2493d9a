import { RealtimeError } from './errors';
import { SHAPES, type FieldShape, type ServerMessage } from './messages';

/** What a node sent: a message, the answer to a heartbeat, a question about a message, or something that is none. */
export type Received =
  | { kind: 'message'; message: ServerMessage }
  | { kind: 'pong' }
  | { kind: 'ask'; number: string }
  | { kind: 'error'; error: RealtimeError; id?: string };

type Fields = Record<string, unknown>;

const ASK = /^ack (\d{1,15})$/;

/** Read a frame. Fields that we do not know are let through: a newer node may say more. */
export function readFrame(data: unknown): Received {
  if (data === 'pong') return { kind: 'pong' };
  if (typeof data !== 'string') return wrong('json', 'a binary frame');
  const ask = ASK.exec(data)?.[1];
  if (ask !== undefined) return { kind: 'ask', number: ask };
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch (cause) {
    return { kind: 'error', error: new RealtimeError('json', 'a frame is no JSON', { cause }) };
  }
  if (!isFields(value) || typeof value['type'] !== 'string') return wrong('frame', 'a frame is no object with a type');
  const problem = checkMessage(value, value['type']);
  if (problem === null) return { kind: 'message', message: value as unknown as ServerMessage };
  const { id } = value;
  return { ...wrong('frame', `${value['type']}: ${problem}`), ...(typeof id === 'string' ? { id } : {}) };
}

/** Tell what is wrong with a message; null if it is as its type demands, or of a type that we do not know. */
export function checkMessage(message: Fields, type: string): string | null {
  if (!Object.hasOwn(SHAPES, type)) return null;
  return checkFields(message, SHAPES[type as keyof typeof SHAPES]);
}

function wrong(kind: 'json' | 'frame', text: string): { kind: 'error'; error: RealtimeError } {
  return { kind: 'error', error: new RealtimeError(kind, text) };
}

/** Tell what is wrong with an object; null if its fields are as they must be. */
export function checkFields(value: Fields, shape: Readonly<Record<string, FieldShape>>): string | null {
  for (const [name, field] of Object.entries(shape)) {
    const problem = checkField(value[name], field);
    if (problem !== null) return `${name} ${problem}`;
  }
  return null;
}

function checkField(value: unknown, shape: FieldShape): string | null {
  if (value === undefined) return shape.optional ? null : 'is missing';
  if (!shape.kinds.some((kind) => isOfKind(value, kind))) return `is no ${shape.kinds.join(' or ')}`;
  if (typeof value === 'number') return checkLimits(value, shape);
  if (typeof value === 'string') {
    if (value.length < (shape.minLength ?? 0)) return 'is too short';
    return shape.oneOf !== undefined && !shape.oneOf.includes(value) ? `is none of ${shape.oneOf.join(', ')}` : null;
  }
  if (shape.each !== undefined) return checkEach(value, shape.each);
  return isFields(value) && shape.fields !== undefined ? checkFields(value, shape.fields) : null;
}

function checkEach(value: unknown, shape: FieldShape): string | null {
  const elements = Array.isArray(value) ? value : isFields(value) ? Object.values(value) : [];
  for (const element of elements) {
    const problem = checkField(element, shape);
    if (problem !== null) return `has an element that ${problem}`;
  }
  return null;
}

function checkLimits(value: number, { min, max, above }: FieldShape): string | null {
  const outside =
    (min !== undefined && value < min) || (max !== undefined && value > max) || (above !== undefined && value <= above);
  return outside ? 'is out of bounds' : null;
}

function isOfKind(value: unknown, kind: FieldShape['kinds'][number]): boolean {
  switch (kind) {
    case 'integer':
      return Number.isSafeInteger(value);
    case 'number':
      return Number.isFinite(value);
    case 'null':
      return value === null;
    case 'object':
      return isFields(value);
    case 'array':
      return Array.isArray(value);
    case 'string':
    case 'boolean':
      return typeof value === kind;
  }
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
