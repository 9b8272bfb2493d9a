import { Admin } from './Admin';
import { expect, test } from './test';

test.use({ networkMayFail: true });

test('where no socket gets through, the page is live by an event stream, and misses nothing over a kill -9', async ({
  browser,
  cluster,
  watch,
}) => {
  const token = await cluster.token({ sub: String(cluster.number()) });
  const localStorage = [{ name: 'token', value: token }];
  const storageState = { cookies: [], origins: [{ origin: cluster.url, localStorage }] };
  const context = await browser.newContext({ locale: 'en', storageState });
  const page = await context.newPage();
  watch(page);
  // As a proxy does that does not know upgrades: the browser sees 1006, and no reason.
  await page.routeWebSocket(/\/api\/v1\/ws/, (socket) => socket.close({ code: 1001 }));
  const streams: string[] = [];
  page.on('request', (request) => {
    const { pathname } = new URL(request.url());
    if (pathname.startsWith('/api/v1/events')) streams.push(pathname);
  });
  const admin = new Admin(page);
  await page.goto(cluster.url);
  await admin.isLive();
  expect(streams).toEqual(['/api/v1/events/admin']);

  await cluster.announce('note 1');
  await admin.row('note 1').waitFor();
  await Promise.all([cluster.kill('node-1'), cluster.kill('node-2')]);
  await admin.says(/Reconnecting|Offline|Connecting/);
  for (let n = 2; n <= 4; n += 1) await cluster.announce(`note ${n}`);
  await Promise.all([cluster.start('node-1'), cluster.start('node-2')]);
  await admin.comesBack();
  await admin.row('note 4').waitFor();
  await admin.holds(['note 4', 'note 3', 'note 2', 'note 1']);
  await context.close();
});
