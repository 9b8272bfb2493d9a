import { expect, test } from './test';

test('progress moves the bar, counts as nothing unread, and a result ends it', async ({ cluster, open }) => {
  const admin = await open();
  const video = cluster.number();
  const progress = { type: 'transcode_progress', video_id: video, status: 'processing' } as const;

  await cluster.publish({ ...progress, progress: 20, message: '正在转码720p (1/3)' });
  await expect(admin.progressOf(video)).toHaveAttribute('aria-valuenow', '20');
  await expect(admin.page.getByText('正在转码720p (1/3)')).toBeVisible();
  await cluster.publish({ ...progress, progress: 65 });
  await expect(admin.progressOf(video)).toHaveAttribute('aria-valuenow', '65');
  await admin.hasUnread(0);

  await cluster.publish({
    type: 'transcode_complete',
    video_id: video,
    title: '山海经·第一集',
    format_type: 'av1',
    file_size: 1_024_000_000,
  });
  const finished = admin.page.getByRole('region', { name: 'Recently finished' });
  // By its number: other tests' videos may be called the same.
  const row = finished.getByRole('listitem').filter({ hasText: `Video ${video}` });
  await expect(row).toContainText('山海经·第一集');
  await expect(row).toContainText('AV1');
  await expect(admin.progressOf(video)).toHaveCount(0);
  await admin.hasUnread(1);
});

test('a failure says why, and reading it is kept over a reload', async ({ cluster, open }) => {
  const admin = await open();
  const title = '猫咪日常';
  await cluster.publish({ type: 'transcode_failed', video_id: cluster.number(), title, error: 'moov atom not found' });
  await cluster.announce('maintenance soon', 'warning');
  await admin.hasUnread(2);
  await expect(admin.row(title)).toContainText('moov atom not found');

  await admin.row(title).getByRole('button').first().click();
  await admin.hasUnread(1);
  await admin.page.reload();

  await admin.isLive();
  await admin.hasUnread(1);
  await admin.holds(['maintenance soon', title]);
  await expect(admin.toasts).toHaveCount(0);
});

test('what is published while a tab is elsewhere is there once when it returns', async ({ cluster, open }) => {
  const admin = await open();
  await cluster.announce('before');
  await admin.hasUnread(1);
  await admin.page.goto('about:blank');
  await cluster.announce('meanwhile');

  await admin.page.goto(cluster.url);

  await admin.holds(['meanwhile', 'before']);
  await cluster.announce('after');
  await admin.holds(['after', 'meanwhile', 'before']);
  await admin.hasUnread(3);
});

test('what ends twice within a second ends alike for whoever was there and whoever comes', async ({
  cluster,
  open,
}) => {
  const there = await open();
  const video = { video_id: cluster.number(), title: '城市夜景延时摄影' };
  await cluster.publishAll([
    { type: 'transcode_complete', ...video, format_type: 'av1', file_size: 1 },
    { type: 'transcode_failed', ...video, error: 'the copy to storage failed' },
  ]);
  await there.hasUnread(2);
  const comes = await open();

  for (const { page } of [there, comes]) {
    const row = page.getByRole('region', { name: 'Recently finished' }).getByRole('listitem');
    await expect(row.filter({ hasText: `Video ${video.video_id}` })).toContainText('the copy to storage failed');
  }
});

test('whoever opens the page sees what is under way, and the nodes', async ({ cluster, open }) => {
  const video = cluster.number();
  await cluster.publish({ type: 'transcode_progress', video_id: video, status: 'processing', progress: 33 });

  const admin = await open();

  await expect(admin.progressOf(video)).toHaveAttribute('aria-valuenow', '33');
  await expect(admin.nodes).toHaveCount(2);
  await cluster.publish({ type: 'transcode_failed', video_id: video, title: '', error: 'ended with the test' });
});
