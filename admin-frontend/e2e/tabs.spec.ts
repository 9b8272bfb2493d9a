import { type Admin } from './Admin';
import { expect, test } from './test';

test('two tabs of a browser share what is unread', async ({ cluster, open }) => {
  const first = await open();
  const second = await open({ tabOf: first });
  const both = [first, second];
  await cluster.announce('older');
  await cluster.announce('newer');
  for (const tab of both) await tab.hasUnread(2);

  await second.row('older').getByRole('button').first().click();
  for (const tab of both) await tab.hasUnread(1);
  await first.page.bringToFront(); // behind another one it is painted once a second
  await first.history.getByRole('button', { name: 'Mark all as read' }).click();
  for (const tab of both) await tab.hasUnread(0);

  for (const tab of both) await tab.holds(['newer', 'older']);
});

test('of two tabs one shows the toast, and the other one the next when it is alone', async ({ cluster, open }) => {
  const first = await open();
  const second = await open({ tabOf: first });
  const [shown] = await Promise.all([
    Promise.any([first, second].map(showsToast)),
    cluster.announce('for one of them', 'error'),
  ]);
  for (const tab of [first, second]) await tab.hasUnread(1);
  const other = shown === first ? second : first;

  await shown.page.close();
  // Had it shown the first one, late or not, both would now be in one toast.
  await Promise.all([
    expect(other.toasts).toContainText('for the one that is left'),
    cluster.announce('for the one that is left', 'error'),
  ]);
  await expect(other.toasts).not.toContainText('for one of them');
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

async function showsToast(tab: Admin): Promise<Admin> {
  await tab.toasts.waitFor();
  return tab;
}
