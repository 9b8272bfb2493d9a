import { expect, test } from './test';

test('what one administrator sends to everybody appears on the pages of others', async ({ open }) => {
  const sender = await open({ claims: { scope: 'publish' } });
  const reader = await open();

  await sender.header.getByRole('button', { name: 'Send message' }).click();
  const composer = sender.page.getByRole('dialog');
  await composer.getByText('Everybody', { exact: true }).click();
  await composer.getByText('Warning', { exact: true }).click();
  await composer.getByLabel('Message', { exact: true }).fill('系统将于10分钟后维护');
  await Promise.all([
    expect(reader.toasts).toContainText('系统将于10分钟后维护'), // it goes after a while
    composer.getByRole('button', { name: 'Send to everybody' }).click(),
  ]);

  await expect(composer.getByText('Message sent')).toBeVisible();
  await expect(reader.row('系统将于10分钟后维护')).toHaveAttribute('data-level', 'warning');
  for (const admin of [sender, reader]) await admin.hasUnread(1);
});

test('a token without the scope says that it cannot send', async ({ open }) => {
  const admin = await open();
  const button = admin.header.getByRole('button', { name: /^Send message/ });
  await expect(button).toBeDisabled();
  await expect(button).toHaveAccessibleName(/lacks the publish scope/);
});
