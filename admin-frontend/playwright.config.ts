import { defineConfig } from '@playwright/test';

/** The built page in a real Chromium on a real cluster; see e2e/test.ts for what every test is given. */
export default defineConfig({
  testDir: 'e2e',
  outputDir: 'test-results',
  // Each has a cluster of its own, which some tests break and mend. They wait most of the time.
  workers: 3,
  forbidOnly: process.env['CI'] !== undefined,
  reporter: 'list',
  // How long to wait for what does not come; on a busy machine, what comes may take a while.
  timeout: 180_000,
  globalTimeout: 1_800_000, // of the whole suite, which takes two minutes: what hangs must end
  expect: { timeout: 20_000 },
  use: {
    actionTimeout: 20_000,
    screenshot: 'only-on-failure',
    launchOptions: { executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium', args: ['--no-sandbox'] },
  },
});
