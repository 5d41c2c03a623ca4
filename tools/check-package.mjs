/**
 * Looks at the package as its users get it: packs it, has publint and @arethetypeswrong/cli look
 * at the tarball, installs that into an empty project, and there loads every entry in both ways
 * and compiles a TypeScript program in both module systems.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { conclude, ensureBuilt, npm, root, run } from './shared.mjs';

const require = createRequire(import.meta.url);
/** @type {{ name: string, exports: Record<string, unknown> }} */
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
/** The names users import: `aiowebsocket`, `aiowebsocket/converses`, … */
const entries = Object.keys(manifest.exports)
  .filter((path) => !path.endsWith('.json'))
  .map((path) => manifest.name + path.slice(1));
/** What the tarball may hold; anything else is something users do not need. */
const allowed = [
  /^(package\.json|LICENSE|README\.md|README\.zh-CN\.md|CHANGELOG\.md)$/,
  /^dist\/cjs\/package\.json$/,
  /^dist\/(esm|cjs)\/[\w-]+\.(js|d\.ts)$/,
];
/** Node shows the line that throws with every error that nobody catches: it has to fit a screen. */
const LONGEST_LINE = 400;

await ensureBuilt();
const folder = mkdtempSync(join(tmpdir(), 'aiowebsocket-package-'));
try {
  const { tarball, files, size } = await pack();
  const results = await Promise.all([
    contents(files),
    attempt('publint', run(process.execPath, [bin('publint'), 'run', tarball, '--strict'])),
    attempt(
      'attw',
      run(process.execPath, [
        bin('@arethetypeswrong/cli', 'attw'),
        tarball,
        ...['--profile', 'node16', '--no-emoji', '--no-color'],
      ]),
    ),
    attempt('consumer', consume(tarball)),
  ]);
  const kilobytes = (size / 1000).toFixed(1);
  conclude(
    `package: ${files.length} files, ${kilobytes} kB packed; ${entries.length} entries, import and require`,
    results.flat(),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function pack() {
  const output = await npm(['pack', '--json', '--ignore-scripts', '--pack-destination', folder]);
  /** @type {[{ filename: string, size: number, files: { path: string }[] }]} */
  const [{ filename, size, files }] = JSON.parse(output);
  return { tarball: join(folder, filename), size, files: files.map(({ path }) => path) };
}

/** @param {readonly string[]} files */
function contents(files) {
  const unneeded = files.filter((file) => !allowed.some((pattern) => pattern.test(file)));
  const unreadable = files.filter(
    (file) => file.endsWith('.js') && longestLine(file) > LONGEST_LINE,
  );
  // webpack, from 5.106 on, puts something else in its place.
  const replaced = files.filter(
    (file) => /^dist\/esm\/.*\.js$/.test(file) && /import\{[^}]*createRequire/.test(read(file)),
  );
  const broken = files.filter((file) => file.endsWith('.js') && /\\$/m.test(read(file)));
  return [
    ...unneeded.map((file) => `package: the tarball holds ${file}`),
    ...unreadable.map((file) => `package: ${file} has a line of ${longestLine(file)} characters`),
    ...replaced.map((file) => `package: ${file} imports createRequire by its name`),
    ...broken.map((file) => `package: ${file} has a literal in two lines`),
  ];
}

/** @param {string} file */
function longestLine(file) {
  const lines = read(file).split('\n');
  return Math.max(...lines.map(({ length }) => length));
}

/** @param {string} file */
function read(file) {
  return readFileSync(join(root, file), 'utf8');
}

/** @param {string} tarball */
async function consume(tarball) {
  const project = join(folder, 'project');
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), '{ "name": "consumer", "private": true }\n');
  const quiet = ['--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts'];
  await npm(['install', '--prefer-offline', ...quiet, tarball], { cwd: project });
  await Promise.all([loadAll(project), compile(project)]);
}

/**
 * Loads every entry by `import` and by `require`, and compares the names they give.
 *
 * @param {string} project
 */
async function loadAll(project) {
  writeFileSync(
    join(project, 'load.mjs'),
    `import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);
for (const entry of ${JSON.stringify(entries)}) {
  const found = await import(entry);
  const imported = Object.keys(found).sort().join();
  const required = Object.keys(require(entry)).sort().join();
  if (imported === '') throw new Error(entry + ' exports nothing');
  if (imported !== required) throw new Error(entry + ': ' + imported + ' but ' + required);
  for (const [name, one] of [...Object.entries(found), ...Object.entries(require(entry))]) {
    if (typeof one === 'function' && one.name !== name) throw new Error(name + ' is named ' + one.name);
  }
}
if (typeof (await import('${manifest.name}')).AioWebSocket !== 'function') throw new Error('no AioWebSocket');
require('${manifest.name}/package.json');
`,
  );
  await run(process.execPath, ['load.mjs'], { cwd: project });
}

/**
 * Type-checks a consumer against the installed declarations themselves (no skipLibCheck), as an
 * ES module and as CommonJS: with our TypeScript, and with the oldest that is supported, there also
 * by the module resolution of its time, which knows no `exports`.
 *
 * @param {string} project
 */
async function compile(project) {
  const names = entries.map((entry, i) => `import * as entry${i} from '${entry}';`).join('\n');
  const source = `import { AioWebSocket } from '${manifest.name}';
${names}
export const entries = [${entries.map((_, i) => `entry${i}`).join(', ')}];
export class Client extends AioWebSocket {}
export const client: AioWebSocket = new Client('ws://127.0.0.1:1/');
export async function talk(): Promise<void> {
  for await (const piece of client.manipulator.receiveStream()) piece.slice(1);
  await client.manipulator.send(client.manipulator.receiveStream());
  // @ts-expect-error -- a message is no number: no type may be lost on the way
  const wrong: number = await client.manipulator.receive();
}
`;
  for (const kind of ['mts', 'cts', 'ts']) writeFileSync(join(project, `consumer.${kind}`), source);
  await compileWith('typescript', project, 'node16', ['consumer.mts', 'consumer.cts']);
  await compileWith('typescript-oldest', project, 'node16', ['consumer.mts', 'consumer.cts']);
  await compileWith('typescript-oldest', project, 'commonjs', ['consumer.ts']);
}

/**
 * @param {string} compiler the name under which it is installed
 * @param {string} project
 * @param {string} module
 * @param {readonly string[]} files
 */
async function compileWith(compiler, project, module, files) {
  const config = join(project, `${compiler}.${module}.json`);
  const options = {
    // The oldest that its types are for.
    target: 'es2020',
    lib: ['es2023', 'esnext.disposable'],
    module,
    moduleResolution: module === 'commonjs' ? 'node10' : module,
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    typeRoots: [join(root, 'node_modules', '@types')],
    // Nothing but what the package itself refers to.
    types: [],
  };
  writeFileSync(config, JSON.stringify({ compilerOptions: options, files }));
  await run(process.execPath, [require.resolve(`${compiler}/bin/tsc`), '-p', config]);
}

/**
 * @param {string} name
 * @param {Promise<unknown>} work
 * @returns {Promise<string[]>} complaints
 */
async function attempt(name, work) {
  try {
    await work;
    return [];
  } catch (error) {
    return [`package: ${name}: ${error instanceof Error ? error.message : String(error)}`];
  }
}

/**
 * The script behind a command of a development dependency.
 *
 * @param {string} name the package
 * @param {string} [command]
 */
function bin(name, command = name) {
  const folder = join(root, 'node_modules', ...name.split('/'));
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return join(folder, typeof bin === 'string' ? bin : bin[command]);
}
