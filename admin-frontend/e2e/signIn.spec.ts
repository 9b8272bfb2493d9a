import { expect, test } from './test';

test('a token in the address signs in, leaves the address, and stays over a reload', async ({ cluster, open }) => {
  const admin = await open({ claims: null });
  const token = await cluster.token({ username: '王芳' });
  await admin.page.goto('about:blank');

  await admin.page.goto(`${cluster.url}/#token=${token}`);

  await admin.isLive();
  await expect(admin.page).toHaveURL(`${cluster.url}/`);
  await admin.page.reload();
  await admin.isLive();
  await expect(admin.header.getByRole('button', { name: 'Account: 王芳' })).toBeVisible();
});

test('a pasted token signs in, and signing out leaves nothing of it behind', async ({ cluster, open }) => {
  const admin = await open({ claims: null });
  await admin.page.getByLabel('Administrator’s token').fill(await cluster.token({ username: '王芳' }));
  await admin.page.getByRole('button', { name: 'Sign in' }).click();
  await admin.isLive();

  await admin.header.getByRole('button', { name: 'Account: 王芳' }).click();
  await admin.page.getByRole('menuitem', { name: 'Sign out' }).click();

  await expect(admin.page.getByRole('heading', { name: /^Sign in/ })).toBeVisible();
  await expect.poll(() => admin.openSockets).toHaveLength(0);
  expect(await admin.page.evaluate(() => localStorage.getItem('token'))).toBeNull();
});
