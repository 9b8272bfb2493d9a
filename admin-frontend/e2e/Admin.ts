import { expect, type Locator, type Page, type WebSocket } from '@playwright/test';

/** What one page shows an administrator. What is waited for most is waited for frame by frame: `expect` looks less often. */
export class Admin {
  readonly header: Locator;
  readonly history: Locator;
  readonly bell: Locator;
  readonly toasts: Locator;
  /** The rows of the cluster's nodes. */
  readonly nodes: Locator;
  /** All that the page ever opened to the cluster. */
  readonly sockets: WebSocket[] = [];

  constructor(readonly page: Page) {
    this.header = page.getByRole('banner');
    this.history = page.getByRole('region', { name: 'Notifications' });
    this.bell = this.header.getByRole('button', { name: /^Notifications, / });
    this.toasts = page.locator('.ant-notification-notice');
    this.nodes = page.getByRole('region', { name: 'Nodes' }).getByRole('row').filter({ hasText: 'node-' });
    page.on('websocket', (socket) => {
      if (new URL(socket.url()).pathname === '/api/v1/ws/admin') this.sockets.push(socket);
    });
  }

  get openSockets(): WebSocket[] {
    return this.sockets.filter((socket) => !socket.isClosed());
  }

  /** The one it is connected by. */
  get socket(): WebSocket {
    const [socket, ...others] = this.openSockets;
    if (socket === undefined || others.length > 0)
      throw new Error(`it has ${this.openSockets.length} open sockets, and not one`);
    return socket;
  }

  /** Wait until the header says so: Live, Offline, No network… */
  async says(state: string | RegExp): Promise<void> {
    await this.header.getByText(state, { exact: true }).waitFor();
  }

  async isLive(): Promise<void> {
    await this.says('Live');
  }

  /** Wait until it is live again, by its own next attempt or by a person who does not wait for that. */
  async comesBack(): Promise<void> {
    await Promise.race([this.isLive(), this.header.getByRole('button', { name: 'Reconnect now' }).click()]);
    await this.isLive();
  }

  async hasUnread(count: number): Promise<void> {
    const name = `Notifications, ${count === 0 ? 'none' : count} unread`;
    await this.header.getByRole('button', { name, exact: true }).waitFor();
  }

  /** The row of a notification, by what it says. */
  row(text: string): Locator {
    return this.history.getByRole('listitem').filter({ hasText: text });
  }

  /** Wait until the history holds exactly these, newest first, each once. */
  async holds(texts: readonly string[]): Promise<void> {
    await expect(this.history.getByRole('listitem')).toHaveText(texts.map((text) => new RegExp(`${text}(?!\\d)`)));
  }

  progressOf(video: number): Locator {
    return this.page.getByRole('progressbar', { name: `Transcode progress of Video ${video}`, exact: true });
  }

  /** One of the cluster's four. */
  counter(name: string): Locator {
    return this.page.locator(`[data-counter=${name}]`);
  }
}
