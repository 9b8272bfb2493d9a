import { type Admin } from './Admin';
import { expect, test } from './test';

test('language and appearance change at once, and stay over a reload', async ({ open }) => {
  const admin = await open({ claims: { username: 'fang' }, colorScheme: 'light' });
  const { page } = admin;
  await expect(page.locator('html')).toHaveCSS('color-scheme', 'light');

  await choose(admin, 'Account: fang', 'Dark');
  await expect(page.locator('html')).toHaveCSS('color-scheme', 'dark');
  await choose(admin, 'Account: fang', '简体中文');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('实时控制台');

  await page.reload();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('实时控制台');
  await expect(page.locator('html')).toHaveAttribute('lang', 'zh-CN');
  await expect(page.locator('html')).toHaveCSS('color-scheme', 'dark');
});

test('a browser that prefers Chinese is answered in Chinese', async ({ open }) => {
  const { page } = await open({ claims: null, locale: 'zh-CN' });
  await expect(page.locator('html')).toHaveAttribute('lang', 'zh-CN');
  await expect(page.getByRole('button', { name: '登录' })).toBeVisible();
});

async function choose({ page, header }: Admin, account: string, entry: string): Promise<void> {
  await header.getByRole('button', { name: account }).click();
  await page.getByRole('menuitem', { name: entry }).click();
}
