import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// On a busy machine; what never comes is still an error.
const patience = { testTimeout: 60_000, hookTimeout: 60_000 };

export default defineConfig({
  plugins: [react()],
  test: {
    maxWorkers: '100%', // by default a core is left to somebody who watches
    projects: [
      {
        extends: true,
        // Without a browser around it: the core may use nothing that was not handed in.
        test: { name: 'core', environment: 'node', include: ['src/realtime/**/*.test.ts'], ...patience },
      },
      {
        extends: true,
        test: {
          name: 'react',
          environment: 'jsdom',
          include: ['src/**/*.test.{ts,tsx}'],
          exclude: ['src/realtime/**'],
          setupFiles: ['src/test/setup.ts'],
          ...patience,
        },
      },
    ],
  },
});
