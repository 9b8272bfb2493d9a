import type { BrowserEnvironment, EnvironmentEvent } from '../realtime';

/** A browser whose network and page obey the test. */
export class FakeEnvironment implements BrowserEnvironment {
  online = true;
  visible = true;
  /** What waits for the next paint. */
  readonly painting: ((ms: number) => void)[] = [];
  readonly #listeners = new Set<(event: EnvironmentEvent) => void>();

  get listeners(): number {
    return this.#listeners.size;
  }

  subscribe(listener: (event: EnvironmentEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  afterPaint(callback: (ms: number) => void): void {
    this.painting.push(callback);
  }

  paint(ms: number): void {
    for (const callback of this.painting.splice(0)) callback(ms);
  }

  becomes(event: EnvironmentEvent): void {
    if (event === 'online' || event === 'offline') this.online = event === 'online';
    else this.visible = event === 'visible';
    for (const listener of [...this.#listeners]) listener(event);
  }
}
