/** Each property with a bounded number of inputs; `npm run fuzz` goes on for long. */
import fc from 'fast-check';
import { PROPERTIES } from './properties.js';

const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

beforeAll(() => {
  process.stderr.write(`fuzzing with seed ${seed}: FUZZ_SEED=${seed} npx jest fuzz\n`);
});

test.each(Object.entries(PROPERTIES))(
  '%s',
  async (_name, { property, runs }) => {
    await fc.assert(property, { seed, numRuns: runs });
  },
  60_000,
);
