import type { Admin } from './Admin';
import type { Claims, Cluster } from './Cluster';
import { expect, test } from './test';

test.use({ inbox: true });

/** Somebody who has read everything. */
async function somebody(cluster: Cluster): Promise<Claims> {
  const claims = { sub: String(cluster.number()) };
  await cluster.readAll(claims);
  return claims;
}

const failure = (cluster: Cluster, title: string): Promise<unknown> =>
  cluster.publish({ type: 'transcode_failed', video_id: cluster.number(), title, error: 'no space left' });

const choose = (admin: Admin, text: string): Promise<void> => admin.row(text).getByRole('button').first().click();

test('what is unread is so after a reload, and on a device that was never there', async ({ cluster, open }) => {
  const claims = await somebody(cluster);
  const admin = await open({ claims });
  await admin.hasUnread(0);
  await cluster.announce('count me: one');
  await cluster.announce('count me: two');
  await failure(cluster, 'count me: three');
  await admin.hasUnread(3);
  const taken = admin.page.waitForResponse(
    (response) => new URL(response.url()).pathname.endsWith('/read') && response.ok(),
  );
  await choose(admin, 'count me: two');
  await admin.hasUnread(2);
  await taken;

  await admin.page.reload();
  await admin.hasUnread(2);
  const elsewhere = await open({ claims });
  await elsewhere.hasUnread(2);
  await expect(elsewhere.row('count me: one')).toHaveAttribute('data-unread');
  await expect(elsewhere.row('count me: two')).not.toHaveAttribute('data-unread');
  await expect(elsewhere.toasts).toHaveCount(0);
});

test('what one device reads or deletes, the others show at once', async ({ cluster, open }) => {
  const claims = await somebody(cluster);
  const [here, there] = [await open({ claims }), await open({ claims })];
  for (const text of ['shared: one', 'shared: two', 'shared: three']) await cluster.announce(text);
  for (const device of [here, there]) await device.hasUnread(3);

  await choose(here, 'shared: one');
  await there.hasUnread(2);
  await expect(there.row('shared: one')).not.toHaveAttribute('data-unread');

  await there.row('shared: two').hover();
  await there
    .row('shared: two')
    .getByRole('button', { name: /^Delete/ })
    .click();
  await here.hasUnread(1);
  await expect(here.row('shared: two')).toHaveCount(0);

  await here.history.getByRole('button', { name: 'Mark all as read' }).click();
  for (const device of [here, there]) await device.hasUnread(0);
  await cluster.announce('shared: four');
  for (const device of [here, there]) await device.hasUnread(1);
});

test('two tabs of a browser agree, and another person’s count is another one', async ({ cluster, open }) => {
  const claims = await somebody(cluster);
  const other = await open({ claims: await somebody(cluster) });
  const first = await open({ claims });
  const second = await open({ tabOf: first });
  await cluster.announce('for all admins');
  for (const page of [first, second, other]) await page.hasUnread(1);
  await choose(second, 'for all admins');
  for (const tab of [first, second]) await tab.hasUnread(0);
  await other.hasUnread(1);
});

test('what history does not reach back to is there, page by page', async ({ cluster, open }) => {
  const claims = await somebody(cluster);
  const admin = await open({ claims });
  await cluster.announce('before');
  await admin.hasUnread(1);
  await admin.page.goto('about:blank');
  const long = Array.from({ length: 250 }, (_, n) => ({ type: 'system_message', message: `meanwhile ${n}` }) as const);
  await cluster.publishAll(long);

  await admin.page.goto(cluster.url);
  await admin.hasUnread(251);
  await expect(admin.history.getByRole('alert')).toHaveCount(0);
  const older = admin.history.getByRole('button', { name: 'Load older notifications' });
  await expect(async () => {
    if ((await admin.row('before').count()) === 0) await older.click();
    expect(await admin.row('before').count()).toBe(1);
  }).toPass({ intervals: [0] });
  const rows = await admin.history.getByRole('listitem').allTextContents();
  const numbers = rows.flatMap((text) => /meanwhile (\d+)/.exec(text)?.[1] ?? []);
  expect(numbers).toEqual(long.map((_, n) => String(n)).reverse());
});

test('unread ones and types are looked for on the server', async ({ cluster, open }) => {
  const claims = await somebody(cluster);
  await failure(cluster, 'the one that failed');
  await cluster.publishAll(
    Array.from({ length: 60 }, (_, n) => ({ type: 'system_message', message: `noise ${n}` }) as const),
  );
  const admin = await open({ claims });
  await admin.hasUnread(61);
  await expect(admin.row('the one that failed')).toHaveCount(0); // further down than the first page
  await admin.history.getByRole('combobox', { name: 'Type' }).click();
  await admin.page.getByTitle('Failed', { exact: true }).click();
  await expect(admin.row('the one that failed')).toHaveCount(1);
  await expect(admin.row('noise')).toHaveCount(0);

  await choose(admin, 'the one that failed');
  await admin.history.getByText('Unread', { exact: true }).click();
  await expect(admin.row('the one that failed')).toHaveCount(0);
});
