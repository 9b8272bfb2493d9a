import { type Locator } from '@playwright/test';

import { expect, test } from './test';

test('the bell can be reached, read and used by keyboard alone', async ({ cluster, open }) => {
  const admin = await open();
  await cluster.announce('older');
  await cluster.announce('newer');
  await admin.hasUnread(2);
  const { keyboard } = admin.page;

  await tabTo(admin.bell);
  await keyboard.press('Enter');
  const dialog = admin.page.getByRole('dialog', { name: 'Notifications' });
  await expect(dialog).toBeFocused();

  const rows = dialog.getByRole('listitem');
  await tabTo(rows.filter({ hasText: 'newer' }).getByRole('button').first());
  await keyboard.press('ArrowDown');
  await expect(rows.filter({ hasText: 'older' }).getByRole('button').first()).toBeFocused();
  await keyboard.press('Enter');
  await admin.hasUnread(1);

  await keyboard.press('Escape');
  await expect(dialog).toBeHidden();
  await expect(admin.bell).toBeFocused();
});

test('screen readers are told of a new notification', async ({ cluster, open }) => {
  const admin = await open();
  await cluster.announce('said aloud');
  const said = admin.page.getByRole('status').filter({ hasText: 'New notification: System message, said aloud' });
  await expect(said).toHaveAttribute('aria-live', 'polite');
});

/** Press Tab until it has the focus. */
async function tabTo(target: Locator): Promise<void> {
  await expect(async () => {
    await target.page().keyboard.press('Tab');
    expect(await target.evaluate((element) => element === document.activeElement)).toBe(true);
  }).toPass({ intervals: [0] });
}
