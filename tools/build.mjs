/**
 * Builds lib/ into dist/esm (ES modules) and dist/cjs (CommonJS), each with its types.
 *
 * esbuild joins the modules, puts the values of enumerations where they are used, and shortens what
 * nobody but the package sees: white space, and the names of properties that begin with `_`, which
 * names.mjs chooses; shorten.mjs then shortens functions. tsc makes the types, once: those of the ES modules refer to
 * those of CommonJS. Both are compiled into a folder of their own, which then takes the place of
 * dist/ in one go: a build never leaves stale files behind, a failed one leaves the last good build
 * alone, and two at a time do no harm. When nothing has changed since the last build, nothing is
 * done.
 *
 *   node tools/build.mjs [--quiet] [--force]
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build as bundle } from 'esbuild';
import { NODE_PROPERTIES, SHORT, shortNames, sourceNames } from './names.mjs';
import { shorten } from './shorten.mjs';
import { root } from './shared.mjs';
import { pruneTypes } from './types.mjs';

const require = createRequire(import.meta.url);
const dist = join(root, 'dist');
/** The modules that users import. */
const PUBLIC = [
  'index',
  'converses',
  'freams',
  'handshakes',
  'exceptions',
  'enumerations',
  'parts',
];
/** Holds the fingerprint of what dist/ was built from; not part of the package. */
const stamp = '.fingerprint';

/** What tsc complains about is for the reader, without a stack trace of ours. */
class CompileError extends Error {}

const { values: options } = parseArgs({
  options: { quiet: { type: 'boolean' }, force: { type: 'boolean' } },
});

const wanted = fingerprint();
if (options.force !== true && wanted === built()) {
  say('dist/ is up to date');
} else if (await build()) {
  say('built dist/esm and dist/cjs');
} else {
  process.exitCode = 1;
}

/** @returns {Promise<boolean>} whether it compiled */
async function build() {
  const fresh = join(root, `dist.${process.pid}`);
  try {
    await Promise.all([compile(fresh), joinModules(fresh)]);
    pruneTypes(join(fresh, 'cjs'), PUBLIC);
    referToNode(join(fresh, 'cjs'));
    // The package says "type": "module"; the nearest package.json wins.
    writeFileSync(join(fresh, 'cjs', 'package.json'), '{ "type": "commonjs" }\n');
    writeFileSync(join(fresh, stamp), wanted);
    replaceDist(fresh);
    return true;
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    console.error(error.message);
    return false;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/**
 * @param {string} folder
 * @returns {Promise<void>}
 */
function compile(folder) {
  const tsc = require.resolve('typescript/bin/tsc');
  const config = join(root, 'tsconfig.types.json');
  const args = [tsc, '-p', config, '--outDir', join(folder, 'cjs'), '--pretty', 'false'];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (/** @type {string} */ text) => (output += text));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new CompileError(`The types cannot be made:\n${output}`));
    });
  });
}

/**
 * The modules that users import share one body each for import and require, so that a class is the
 * same whichever of them it came from.
 *
 * @param {string} folder
 */
async function joinModules(folder) {
  const entryPoints = ['lib/index.ts'];
  /** @satisfies {import('esbuild').BuildOptions} */
  const settings = {
    absWorkingDir: root,
    bundle: true,
    platform: /** @type {const} */ ('node'),
    target: 'node20.12',
    external: ['eventemitter3', '../index.js'],
    outbase: 'lib',
    minifySyntax: true,
    minifyWhitespace: true,
    mangleProps: SHORT,
    reserveProps: NODE_PROPERTIES,
    mangleCache: await shortNames(),
  };
  const { metafile } = await bundle({
    ...settings,
    entryPoints: PUBLIC.map((name) => `lib/${name}.ts`),
    format: 'esm',
    outdir: folder,
    metafile: true,
    write: false,
  });
  await bundle({
    ...settings,
    entryPoints: [...entryPoints, 'lib/cli/main.ts'],
    format: 'esm',
    outdir: join(folder, 'esm'),
  });
  await bundle({
    ...settings,
    entryPoints,
    format: 'cjs',
    outdir: join(folder, 'cjs'),
  });
  for (const format of ['esm', 'cjs']) {
    const file = join(folder, format, 'index.js');
    writeFileSync(file, markPure(await shorten(readFileSync(file, 'utf8'))));
  }
  for (const { entryPoint = '', exports: names } of Object.values(metafile.outputs)) {
    const name = entryPoint.replace(/^lib\/|\.ts$/g, '');
    if (name === 'index') continue;
    const lines = names.map((one) => `exports.${one} = all.${one};\n`);
    const body = `'use strict';\nconst all = require('./index.js');\n${lines.join('')}`;
    writeFileSync(join(folder, 'cjs', `${name}.js`), body);
    const list = names.map((one) => `  ${one},\n`).join('');
    writeFileSync(join(folder, 'esm', `${name}.js`), `export {\n${list}} from './index.js';\n`);
  }
  for (const name of PUBLIC) {
    writeFileSync(join(folder, 'esm', `${name}.d.ts`), `export * from '../cjs/${name}.js';\n`);
  }
}

/**
 * esbuild takes out the white space and with it the word that nothing is lost with an enumeration
 * that nobody uses: bundlers leave those out then. The same goes for what is looked up of a class.
 *
 * @param {string} code
 */
function markPure(code) {
  return code.replace(/=(?=\((\w+)=>\(\1\[\1\.|Object\.entries\(Object\.)/g, '=/* @__PURE__ */');
}

/**
 * TypeScript 6 looks at Node's types only where it is told to: without them, all that speaks of a
 * Buffer would be `any`, and nobody would say so.
 *
 * @param {string} folder
 */
function referToNode(folder) {
  for (const name of PUBLIC) {
    const file = join(folder, `${name}.d.ts`);
    writeFileSync(file, `/// <reference types="node" />\n${readFileSync(file, 'utf8')}`);
  }
}

/** @param {string} fresh */
function replaceDist(fresh) {
  const old = `${fresh}.old`;
  mkdirSync(dist, { recursive: true });
  renameSync(dist, old);
  try {
    renameSync(fresh, dist);
  } catch (error) {
    // Another build was quicker, and its dist/ is as good as ours.
    if (wanted !== built()) throw error;
  } finally {
    rmSync(old, { recursive: true, force: true });
  }
}

/** A hash over everything that decides what dist/ looks like. */
function fingerprint() {
  const settings = readdirSync(root).filter((name) => /^tsconfig.*\.json$/.test(name));
  const hash = createHash('sha256').update(require('typescript/package.json').version);
  for (const name of [
    ...sourceNames(),
    ...settings,
    join('tools', 'build.mjs'),
    join('tools', 'names.mjs'),
    join('tools', 'shorten.mjs'),
    join('tools', 'types.mjs'),
  ].sort()) {
    hash.update(`\0${name}\0`).update(readFileSync(join(root, name)));
  }
  return hash.digest('hex');
}

function built() {
  try {
    return readFileSync(join(dist, stamp), 'utf8');
  } catch {
    return undefined;
  }
}

/** @param {string} text */
function say(text) {
  if (options.quiet !== true) console.log(text);
}
