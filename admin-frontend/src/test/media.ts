/** jsdom lays nothing out and asks no system: what media queries are told is up to the test, and nothing is resized. */
export const media: { holds: (query: string) => boolean } = { holds: () => false };

window.matchMedia = (query) =>
  Object.assign(new EventTarget(), { matches: media.holds(query), media: query }) as MediaQueryList;

const nothing = (): void => undefined;

window.ResizeObserver = class {
  readonly observe = nothing;
  readonly unobserve = nothing;
  readonly disconnect = nothing;
};
