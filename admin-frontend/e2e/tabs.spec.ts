import { expect, test } from './test';

test('two tabs of a browser share what is unread, and one of them shows the toast', async ({ cluster, open }) => {
  const first = await open();
  const second = await open({ tabOf: first });
  const both = [first, second];
  const toasts = async (text: string): Promise<number> => {
    const counts = await Promise.all(both.map((tab) => tab.toasts.filter({ hasText: text }).count()));
    return counts.reduce((sum, count) => sum + count);
  };

  await cluster.announce('for one of them', 'info');
  await cluster.announce('and this after it', 'error');

  for (const tab of both) await tab.hasUnread(2);
  await expect.poll(() => toasts('and this after it')).toBe(1);
  // The later one has been shown: by now the earlier one has been everywhere it will ever be.
  expect(await toasts('for one of them')).toBe(1);

  await second.row('for one of them').getByRole('button').first().click();
  for (const tab of both) await tab.hasUnread(1);
  await first.history.getByRole('button', { name: 'Mark all as read' }).click();
  for (const tab of both) await tab.hasUnread(0);
  for (const tab of both) await tab.holds(['and this after it', 'for one of them']);
});

test('another person in the same browser has a history of their own', async ({ cluster, open }) => {
  const admin = await open();
  await cluster.announce('for whoever was there');
  await admin.hasUnread(1);

  const token = await cluster.token({ sub: String(cluster.number()), username: '王芳' });
  await admin.page.evaluate((value) => localStorage.setItem('token', value), token);
  await admin.page.reload();

  await expect(admin.header.getByRole('button', { name: 'Account: 王芳' })).toBeVisible();
  await admin.isLive();
  await admin.hasUnread(0);
});
