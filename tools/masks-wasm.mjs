// Turns tools/masks.wat into lib/masks-wasm.ts.
import { readFile, writeFile } from 'node:fs/promises';
import wabt from 'wabt';

/** @returns {Promise<string>} the module's bytes in base64 */
export async function compileMasks() {
  const source = await readFile(new URL('masks.wat', import.meta.url), 'utf8');
  const module = (await wabt()).parseWat('masks.wat', source, { simd: true });
  return Buffer.from(module.toBinary({}).buffer).toString('base64');
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const text = `// Made by tools/masks-wasm.mjs from tools/masks.wat; not to be edited.
/** The masking module, in base64. */
export const MASKS_WASM =
  '${await compileMasks()}';
`;
  await writeFile(new URL('../lib/masks-wasm.ts', import.meta.url), text);
}
