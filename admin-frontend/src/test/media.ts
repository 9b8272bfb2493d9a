/** jsdom lays nothing out and asks no system: what media queries are told is up to the test, and nothing is resized. */
export const media: { holds: (query: string) => boolean } = { holds: () => false };

const nothing = (): void => undefined;

window.matchMedia = (query) => ({
  matches: media.holds(query),
  media: query,
  onchange: null,
  addEventListener: nothing,
  removeEventListener: nothing,
  addListener: nothing,
  removeListener: nothing,
  dispatchEvent: () => false,
});

window.ResizeObserver = class {
  readonly observe = nothing;
  readonly unobserve = nothing;
  readonly disconnect = nothing;
};
