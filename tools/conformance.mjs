/** npm run conformance: see docs/conformance.md, and `--help` for its arguments. */
import { startBundled } from './bundled.mjs';

await startBundled('__tests__/conformance/main.ts', 'conformance');
