import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const FRONT = fileURLToPath(new URL('..', import.meta.url));
const EXAMPLE = /```tsx\n(.*?)```/gs;
// What the app has of its own: ours, linked, for the registry may be out of reach.
const INSTALLED = [
  'react',
  'react-dom',
  'antd',
  '@ant-design/icons',
  '@types/react',
  '@types/react-dom',
  '@vitejs/plugin-react',
  'typescript',
  'vite',
];

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
};

/**
 * An app that is none of ours: it has the package from `npm pack`, and is written as the README's examples say.
 *
 * Its directory is its own, so that nothing is found that the package does not bring.
 */
export class OtherApp {
  private constructor(private readonly root: string) {}

  /** Pack `build/lib`, install it, and write the app down. */
  static async create(): Promise<OtherApp> {
    const app = new OtherApp(await mkdtemp(join(tmpdir(), 'other-app-')));
    await app.#write();
    await app.#install();
    return app;
  }

  typeCheck(): Promise<string> {
    return this.#run('node_modules/typescript/bin/tsc', '--noEmit');
  }

  build(env: Record<string, string>): Promise<string> {
    return this.#run('node_modules/vite/bin/vite.js', 'build', { env });
  }

  /** Serve what was built at an origin, until the returned function is called. */
  async serve(origin: string): Promise<() => Promise<void>> {
    const server = createServer((request, response) => {
      const { pathname } = new URL(request.url ?? '/', origin);
      const file = pathname === '/' ? '/index.html' : pathname;
      readFile(join(this.root, 'dist', file)).then(
        (content) => response.writeHead(200, { 'Content-Type': TYPES[extname(file)] }).end(content),
        () => response.writeHead(404).end(),
      );
    });
    const { hostname, port } = new URL(origin);
    await once(server.listen(Number(port), hostname), 'listening');
    return async () => {
      server.closeAllConnections();
      await once(server.close(), 'close');
    };
  }

  /** All JavaScript that was built. */
  async code(): Promise<string> {
    const files = await readdir(join(this.root, 'dist'), { recursive: true });
    const scripts = files.filter((file) => extname(file) === '.js');
    return (await Promise.all(scripts.map((file) => readFile(join(this.root, 'dist', file), 'utf8')))).join('\n');
  }

  remove(): Promise<void> {
    return rm(this.root, { recursive: true });
  }

  async #write(): Promise<void> {
    await cp(fileURLToPath(new URL('otherApp', import.meta.url)), this.root, { recursive: true });
    const readme = await readFile(join(FRONT, 'README.md'), 'utf8');
    const [app = '', list = '', hook = ''] = [...readme.matchAll(EXAMPLE)].map(([, code]) => code);
    await writeFile(join(this.root, 'src/App.tsx'), app);
    await writeFile(join(this.root, 'src/Failures.tsx'), list);
    await writeFile(join(this.root, 'src/Ticker.tsx'), hook);
  }

  async #install(): Promise<void> {
    const packed = JSON.parse(await this.#npm('pack', join(FRONT, 'build/lib'), '--json')) as { filename: string }[];
    const [archive] = packed.map(({ filename }) => filename);
    // Without looking for peers: they are linked below.
    await this.#npm('install', `./${archive ?? ''}`, '--offline', '--legacy-peer-deps', '--no-audit', '--no-fund');
    for (const name of INSTALLED) {
      const place = join(this.root, 'node_modules', name);
      await mkdir(dirname(place), { recursive: true });
      await symlink(join(FRONT, 'node_modules', name), place);
    }
  }

  async #npm(...words: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)('npm', words, { cwd: this.root });
    return stdout;
  }

  async #run(script: string, command: string, { env = {} }: { env?: Record<string, string> } = {}): Promise<string> {
    const options = { cwd: this.root, env: { ...process.env, ...env } };
    try {
      const { stdout } = await promisify(execFile)(process.execPath, [script, command], options);
      return stdout;
    } catch (error) {
      const { stdout, stderr } = error as { stdout: string; stderr: string };
      throw new Error(`${script} ${command}\n${stdout}${stderr}`, { cause: error });
    }
  }
}
