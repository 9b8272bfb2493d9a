import { OtherApp } from './OtherApp';
import { expect, test } from './test';

test('another app installs the package, is checked and built with it, and works as the README says', async ({
  browser,
  cluster,
  watch,
}) => {
  test.slow(); // npm, TypeScript and Vite have their own pace
  const app = await OtherApp.create();
  try {
    await app.typeCheck();
    // As older set-ups have it. The app comes from elsewhere: what it is built with tells where the cluster is.
    await app.build({ VITE_WS_URL: `${cluster.url.replace('http', 'ws')}/api/v1/ws/admin` });
    const stop = await app.serve(cluster.otherOrigin);

    const context = await browser.newContext({ locale: 'en' });
    const page = await context.newPage();
    watch(page);
    const token = await cluster.token({ sub: String(cluster.number()) });
    await page.addInitScript((value) => localStorage.setItem('token', value), token);
    await page.goto(cluster.otherOrigin);
    await page.getByRole('button', { name: /^0 unread/ }).waitFor();
    await page.getByText(/^0 done/).waitFor();

    const video = cluster.number();
    await cluster.publish({ type: 'transcode_progress', video_id: video, status: 'processing', progress: 40 });
    const bar = page.getByRole('progressbar', { name: `Transcode progress of Video ${video}` });
    await expect(bar).toHaveAttribute('aria-valuenow', '40');

    await cluster.publish({
      type: 'transcode_complete',
      video_id: video,
      title: '雨',
      format_type: 'av1',
      file_size: 1,
    });
    await page.getByText('1 done, last: transcode_complete').waitFor();
    await page.getByRole('button', { name: /^1 unread/ }).click();
    await page.getByRole('button', { name: 'Notifications, none unread' }).waitFor();

    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByRole('button', { name: 'Go on' }).waitFor();
    await context.close();
    await stop();
  } finally {
    await app.remove();
  }
});
