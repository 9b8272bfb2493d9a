import { defineConfig } from '@playwright/test';

/** The built page in a real Chromium on a real cluster; see e2e/test.ts for what every test is given. */
export default defineConfig({
  testDir: 'e2e',
  outputDir: 'test-results',
  // One cluster, which some tests break and mend: one after another.
  workers: 1,
  forbidOnly: process.env['CI'] !== undefined,
  reporter: 'list',
  timeout: 40_000,
  globalTimeout: 900_000, // of the whole suite, which takes two minutes: what hangs must end
  expect: { timeout: 10_000 },
  use: {
    actionTimeout: 10_000,
    screenshot: 'only-on-failure',
    launchOptions: { executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium', args: ['--no-sandbox'] },
  },
});
