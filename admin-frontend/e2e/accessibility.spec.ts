import { AxeBuilder } from '@axe-core/playwright';

import { type Admin } from './Admin';
import { type Cluster } from './Cluster';
import { expect, test } from './test';

const APPEARANCES = [
  { colorScheme: 'light', viewport: { width: 1440, height: 900 } },
  { colorScheme: 'dark', viewport: { width: 390, height: 844 } },
] as const;

test.describe.configure({ mode: 'parallel' }); // the longest file, and the first
test.use({ networkMayFail: true, tokenMayEnd: true });

for (const looks of APPEARANCES) {
  const name = `${looks.colorScheme}, ${looks.viewport.width} px`;

  test(`axe finds nothing on the page and on what it opens: ${name}`, async ({ cluster, open }) => {
    const admin = await open({ ...looks, claims: { scope: 'publish' } });
    const { page } = admin;
    await isLoaded(admin);
    await finds(admin, 'empty');
    const end = await fill(cluster);
    await admin.hasUnread(3);
    await finds(admin, 'busy');

    await admin.history.getByPlaceholder('Search notifications').fill('nothing is called so');
    await admin.history.getByText('Nothing matches').waitFor();
    await finds(admin, 'filtered');

    await admin.bell.click();
    await page.getByRole('dialog', { name: 'Notifications' }).waitFor();
    await finds(admin, 'bell');
    await page.keyboard.press('Escape');

    await admin.header.getByRole('button', { name: /^Account/ }).click();
    await page.getByRole('menu').waitFor();
    await finds(admin, 'account menu');
    await page.keyboard.press('Escape');

    await admin.header.getByRole('button', { name: 'Send message' }).click();
    const composer = page.getByRole('dialog');
    await composer.getByText('Specific users').click();
    await composer.getByRole('button', { name: 'Send', exact: true }).click();
    await composer.getByText('Enter at least one user id').waitFor();
    await finds(admin, 'composer, with what is wrong');
    await end();
  });

  test(`axe finds nothing where the connection or the token is lost: ${name}`, async ({ cluster, open }) => {
    const sub = String(cluster.number());
    const admin = await open({ ...looks, claims: { sub } });
    const { page } = admin;
    await isLoaded(admin);
    await page.context().setOffline(true);
    await admin.says('No network');
    await finds(admin, 'no network');
    await page.context().setOffline(false);
    await admin.isLive();

    await cluster.endConnections(sub);
    const dialog = page.getByRole('dialog', { name: 'A new token is needed' });
    await dialog.waitFor();
    await finds(admin, 'a token is asked for');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    await admin.says('Stopped');
    await finds(admin, 'stopped');
  });

  test(`axe finds nothing while the page loads: ${name}`, async ({ open }) => {
    const admin = await open(looks);
    await admin.page.route('**/api/v1/**', () => undefined);
    await admin.page.routeWebSocket(/./, () => undefined);
    await admin.page.reload();
    await admin.page.getByRole('status', { name: 'Loading transcodes' }).waitFor();
    await finds(admin, 'loading');
  });

  test(`axe finds nothing where one signs in: ${name}`, async ({ open }) => {
    const admin = await open({ ...looks, claims: null });
    await finds(admin, 'sign-in');
    await admin.page.getByRole('button', { name: 'Sign in' }).click();
    await admin.page.getByText('Paste a token').waitFor();
    await finds(admin, 'sign-in, with what is wrong');
  });
}

async function isLoaded({ page, nodes }: Admin): Promise<void> {
  await expect(page.getByRole('status', { name: 'Loading transcodes' })).toBeHidden();
  await expect(nodes).toHaveCount(2);
}

/** Some of everything that the page shows; the returned function ends what is under way. */
async function fill(cluster: Cluster): Promise<() => Promise<unknown>> {
  const [running, done, broken] = [cluster.number(), cluster.number(), cluster.number()];
  await cluster.publishAll([
    {
      type: 'transcode_progress',
      video_id: running,
      status: 'processing',
      progress: 40,
      message: '正在转码720p (1/3)',
    },
    {
      type: 'transcode_complete',
      video_id: done,
      title: '山海经·第一集',
      format_type: 'av1',
      file_size: 1_024_000_000,
    },
    { type: 'transcode_failed', video_id: broken, title: '猫咪日常', error: 'moov atom not found' },
    { type: 'system_message', message: 'maintenance soon', level: 'warning' },
  ]);
  return () =>
    cluster.publish({ type: 'transcode_failed', video_id: running, title: '', error: 'ended with the test' });
}

/** Check what is shown now, and print how many rules it was held to. */
async function finds({ page }: Admin, state: string): Promise<void> {
  await page.mouse.move(1, 1); // a tooltip belongs to no landmark, which axe would have
  // What moves in or fades has no contrast yet. What moves for ever, as long as something loads, is not waited for.
  await page.evaluate(() => {
    const passing = document.getAnimations().filter(({ effect }) => effect?.getComputedTiming().endTime !== Infinity);
    return Promise.all(passing.map(({ finished }) => finished.catch(() => undefined)));
  });
  // Legacy: it otherwise opens a page of its own, and ours would be one that nobody looks at.
  const { passes, violations, incomplete } = await new AxeBuilder({ page }).setLegacyMode().analyze();
  const undecided = incomplete.map(({ id }) => id).join(', ') || 'none';
  console.log(`${state}: ${passes.length} rules held, ${violations.length} broken; undecided: ${undecided}`);
  const found = violations.flatMap(({ id, impact, nodes }) =>
    nodes.map(({ target, failureSummary }) => ({ id, impact, target, failureSummary })),
  );
  expect(found, state).toEqual([]);
}
