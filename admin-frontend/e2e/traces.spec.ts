import { expect, test } from './test';

test('the trace of a message ends when the page has painted it', async ({ cluster, open }) => {
  const admin = await open();
  const traced = await cluster.publishTraced({ type: 'system_message', message: 'follow me', level: 'info' });
  await admin.hasUnread(1);
  await expect
    .poll(async () => (await cluster.spans(traced)).toSorted())
    .toEqual(['POST /api/v1/notifications', 'display', 'process admin', 'send admin']);
});
