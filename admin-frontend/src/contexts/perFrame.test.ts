import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { Observable } from '../realtime/observable';
import { PerFrame } from './perFrame';

let frames: Map<number, () => void>;
let asked: number;

beforeEach(() => {
  frames = new Map();
  asked = 0;
  vi.stubGlobal('requestAnimationFrame', (callback: () => void) => {
    frames.set(++asked, callback);
    return asked;
  });
  vi.stubGlobal('cancelAnimationFrame', (frame: number) => frames.delete(frame));
});

afterEach(() => {
  vi.unstubAllGlobals();
});

function paint(): void {
  const due = [...frames.values()];
  frames.clear();
  for (const callback of due) callback();
}

function watched(): { source: Observable<number>; view: PerFrame<number>; told: number[]; leave: () => void } {
  const source = new Observable(0);
  const view = new PerFrame({
    get snapshot() {
      return source.value;
    },
    subscribe: (listener) => source.subscribe(listener),
  });
  const told: number[] = [];
  const leave = view.subscribe(() => told.push(view.snapshot));
  return { source, view, told, leave };
}

test('many changes within a frame are one, and the newest of them', () => {
  const { source, told } = watched();
  for (let value = 1; value <= 200; value += 1) source.value = value;
  expect(told).toEqual([]);
  paint();
  expect(told).toEqual([200]);
});

test('within a frame the view stands still', () => {
  const { source, view } = watched();
  source.value = 1;
  expect(view.snapshot).toBe(0);
  paint();
  expect(view.snapshot).toBe(1);
});

test('a frame without a change tells nobody', () => {
  const { source, told } = watched();
  source.value = 1;
  paint();
  paint();
  expect(told).toEqual([1]);
  expect(asked).toBe(1);
});

test('who leaves hears nothing more, and the last one takes the frame along', () => {
  const { source, view, told, leave } = watched();
  source.value = 1;
  leave();
  expect(frames.size).toBe(0);
  paint();
  source.value = 2;
  expect(told).toEqual([]);
  expect(view.snapshot).toBe(2);
});
