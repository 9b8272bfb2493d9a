import { type Cluster, type NodeName } from './Cluster';
import { expect, test } from './test';

test.use({ networkMayFail: true });

test('a node is killed under the page: it is back by itself, has missed nothing, and counts right', async ({
  cluster,
  open,
}) => {
  const admin = await open();
  const node = await nodeOf(cluster);
  await cluster.announce('note 1');
  await admin.hasUnread(1);

  const killed = performance.now();
  const noted = announceNotes(cluster, 2, 15);
  await cluster.kill(node);
  await noted;
  await admin.row('note 15').waitFor();
  await admin.isLive();
  console.log(`from kill -9 until the page had caught up: ${Math.round(performance.now() - killed)} ms`);

  await admin.holds(notes(15));
  await admin.hasUnread(15);
  await cluster.start(node);
  // The dead node's connections are forgotten within 15 s, and the page asks every 5.
  await expect(admin.counter('total_admin_connections')).toHaveText('1', { timeout: 40_000 });
  await expect(admin.nodes).toHaveCount(2);
});

test('a node is drained: its page moves on, and misses nothing', async ({ cluster, open }) => {
  const admin = await open();
  const node = await nodeOf(cluster);
  await cluster.announce('note 1');
  await admin.hasUnread(1);

  const noted = announceNotes(cluster, 2, 15);
  await cluster.drain(node);
  await noted;

  await admin.holds(notes(15));
  await admin.isLive();
  await admin.hasUnread(15);
  expect(await nodeOf(cluster)).not.toBe(node);
  await cluster.start(node);
});

test('all nodes are gone: the page says so, and comes back with all it missed', async ({ cluster, open }) => {
  const admin = await open();
  await cluster.announce('note 1');
  await admin.hasUnread(1);

  await Promise.all([cluster.kill('node-1'), cluster.kill('node-2')]);
  await expect(admin.page.getByText('The live connection was lost.')).toBeVisible();
  await announceNotes(cluster, 2, 5);
  await Promise.all([cluster.start('node-1'), cluster.start('node-2')]);

  await admin.comesBack();
  await admin.holds(notes(5));
  await admin.hasUnread(5);
  await expect(admin.page.getByText('The live connection was lost.')).toBeHidden();
});

test('Redis is restarted: what is published before and after arrives, once', async ({ cluster, open }) => {
  const admin = await open();
  const video = cluster.number();
  const progress = { type: 'transcode_progress', video_id: video, status: 'processing' } as const;
  await cluster.publish({ ...progress, progress: 10 });
  await announceNotes(cluster, 1, 3);
  await admin.hasUnread(3);

  await cluster.restartRedis();
  await announceNotes(cluster, 4, 6);
  await cluster.publish({ ...progress, progress: 80 });

  await admin.holds(notes(6));
  await admin.hasUnread(6);
  await expect(admin.progressOf(video)).toHaveAttribute('aria-valuenow', '80');
  await admin.isLive();
  await cluster.publish({ type: 'transcode_failed', video_id: video, title: '', error: 'ended with the test' });
});

test('the browser loses its network and finds it again: nothing is missed', async ({ cluster, open }) => {
  const admin = await open();
  const context = admin.page.context();
  await announceNotes(cluster, 1, 2);
  await admin.hasUnread(2);

  await context.setOffline(true);
  await admin.says('No network');
  await announceNotes(cluster, 3, 5);
  await admin.hasUnread(2);
  await context.setOffline(false);

  await admin.isLive();
  await admin.holds(notes(5));
  await admin.hasUnread(5);
});

/** The node that holds the one page there is. */
async function nodeOf(cluster: Cluster): Promise<NodeName> {
  await expect.poll(() => cluster.holders()).toHaveLength(1);
  const [node] = await cluster.holders();
  if (node === undefined) throw new Error('the page has gone');
  return node;
}

async function announceNotes(cluster: Cluster, from: number, to: number): Promise<void> {
  for (let note = from; note <= to; note += 1) await cluster.announce(`note ${note}`);
}

/** What the history then holds, newest first. */
function notes(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `note ${count - at}`);
}
