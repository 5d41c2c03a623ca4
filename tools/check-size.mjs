/**
 * Holds the client to its size: what a bundler makes of `import { AioWebSocket } from
 * 'aiowebsocket'`, minified, without eventemitter3.
 */
import { build } from 'esbuild';
import { conclude, ensureBuilt, root } from './shared.mjs';

/** 30 KB: where the client is to get. */
const goal = 30_720;
/** What it may not exceed meanwhile: a ratchet, which follows the size downwards. */
const limit = 53_300;

await ensureBuilt();
const { outputFiles, metafile } = await build({
  stdin: {
    contents: "export { AioWebSocket } from 'aiowebsocket';",
    resolveDir: root,
    sourcefile: 'entry.js',
  },
  bundle: true,
  minify: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.12',
  external: ['eventemitter3'],
  // Only the package's own `exports` count, not the paths that tsconfig.json has for the editor.
  tsconfigRaw: {},
  metafile: true,
  write: false,
});

const size = outputFiles.reduce((sum, file) => sum + file.contents.length, 0);
const number = (/** @type {number} */ value) => value.toLocaleString('en');
const inputs = Object.values(metafile.outputs)
  .flatMap((output) => Object.entries(output.inputs))
  .map(([name, { bytesInOutput }]) => ({ name: name.replace('dist/esm/', ''), bytesInOutput }))
  .filter(({ bytesInOutput }) => bytesInOutput > 0)
  .sort((a, b) => b.bytesInOutput - a.bytesInOutput);

if (process.argv.includes('--details')) {
  for (const { name, bytesInOutput } of inputs) {
    console.log(`${number(bytesInOutput).padStart(8)}  ${name}`);
  }
}
conclude(
  `size: ${number(size)} bytes of ${number(limit)} allowed, ${number(size - goal)} above the goal of ${number(goal)}`,
  size <= limit
    ? []
    : [
        `size: ${number(size)} bytes, ${number(size - limit)} over the limit of ${number(limit)}; the largest files:`,
        ...inputs.slice(0, 5).map((input) => `  ${input.name} ${number(input.bytesInOutput)}`),
      ],
);
