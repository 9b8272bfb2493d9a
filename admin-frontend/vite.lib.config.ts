import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

import own from './package.json' with { type: 'json' };

const PEERS = ['react', 'react-dom', 'antd', '@ant-design/icons'] as const;
const major = (version: string): string => `^${version.split('.')[0] ?? ''}.0.0`;

/** The hook, the context and the components for other apps, as a package in `build/lib`; `core` needs no React. */
export default defineConfig({
  plugins: [react(), appEnvironment(), packageFile()],
  publicDir: false,
  build: {
    outDir: 'build/lib',
    target: 'es2022',
    minify: false, // it is read as it is, and whoever builds an app with it minifies
    lib: {
      entry: { index: 'src/index.ts', core: 'src/realtime/index.ts', hook: 'src/hooks/useWebSocket.ts' },
      formats: ['es'],
      cssFileName: 'style',
    },
    rolldownOptions: {
      external: (id) => PEERS.some((peer) => id === peer || id.startsWith(`${peer}/`)),
      output: { chunkFileNames: '[name].js' }, // a package has a version; its files need none in their names
    },
  },
});

/** `VITE_WS_URL` is read where the app is built, not here: Vite must not put in what it finds now. */
function appEnvironment(): Plugin {
  return {
    name: 'app-environment',
    enforce: 'pre',
    transform: (code, id) => (id.endsWith('/realtime/options.ts') ? code.replace('import.meta', 'importMeta') : null),
    renderChunk: (code) => code.replace('importMeta', 'import.meta'),
  };
}

function packageFile(): Plugin {
  const entry = (name: string, types: string): object => ({ types: `./types/${types}.d.ts`, import: `./${name}.js` });
  const content = {
    name: 'videosite-realtime-react',
    version: own.version,
    description: 'React hook, context and components for VideoSite Realtime, and the core that needs no React.',
    license: own.license,
    type: 'module',
    sideEffects: ['*.css'],
    exports: {
      '.': entry('index', 'index'),
      './core': entry('core', 'realtime/index'),
      './hook': entry('hook', 'hooks/useWebSocket'),
      './style.css': './style.css',
    },
    peerDependencies: Object.fromEntries(PEERS.map((peer) => [peer, major(own.dependencies[peer])])),
    peerDependenciesMeta: { antd: { optional: true }, '@ant-design/icons': { optional: true } },
  };
  return {
    name: 'package-file',
    generateBundle() {
      this.emitFile({ type: 'asset', fileName: 'package.json', source: `${JSON.stringify(content, null, 2)}\n` });
    },
  };
}
