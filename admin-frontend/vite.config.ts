import react from '@vitejs/plugin-react';
import { defineConfig, loadEnv } from 'vite';

export default defineConfig(({ mode }) => {
  const env = loadEnv(mode, process.cwd(), '');
  // Where `npm run dev` finds a node of a running cluster; the browser sees one origin, as in production.
  const node = env['DEV_NODE_URL'] ?? 'http://127.0.0.1:8000';
  return {
    plugins: [react()],
    // Served at "/" by the node, and below any path by whoever mounts it elsewhere.
    base: './',
    // The node's Origin check compares Origin with Host: both stay the browser's.
    server: { proxy: { '/api': { target: node, ws: true, changeOrigin: false } } },
    build: {
      target: 'es2022',
      sourcemap: true,
      chunkSizeWarningLimit: 800, // Ant Design; it has a file of its own, which an update of the page leaves in the cache
      rolldownOptions: {
        output: {
          codeSplitting: {
            groups: [
              { name: 'antd', test: /node_modules[\\/](antd|@ant-design|@rc-component)[\\/]/ },
              { name: 'react', priority: 1, test: /node_modules[\\/](react|react-dom|scheduler)[\\/]/ },
            ],
          },
        },
      },
    },
  };
});
