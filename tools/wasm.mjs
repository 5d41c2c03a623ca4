// Turns tools/wasm.wat into lib/wasm-code.ts.
import { readFile, writeFile } from 'node:fs/promises';
import wabt from 'wabt';

/** @returns {Promise<string>} the module's bytes in base64 */
export async function compileWasm() {
  const source = await readFile(new URL('wasm.wat', import.meta.url), 'utf8');
  const module = (await wabt()).parseWat('wasm.wat', source, { simd: true });
  return Buffer.from(module.toBinary({}).buffer).toString('base64');
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const text = `// Made by tools/wasm.mjs from tools/wasm.wat; not to be edited.
/** The module that wasm.ts loads, in base64. */
export const WASM_CODE =
  '${await compileWasm()}';
`;
  await writeFile(new URL('../lib/wasm-code.ts', import.meta.url), text);
}
