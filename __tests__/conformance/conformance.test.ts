// The suite against this package's client, and against `ws`, which checks the suite.
import { aiowebsocket } from './adapters/aiowebsocket.js';
import { ws } from './adapters/ws.js';
import { AREAS } from './case.js';
import { allCases, quickCases } from './cases/index.js';
import { DIFFERENCES, explain, patienceWith } from './known-differences.js';
import { describeFailure } from './report.js';
import { runCases } from './runner.js';

const LIMIT = 60_000;

describe('the cases', () => {
  test('there are at least 500 quick ones, in every area', () => {
    expect(quickCases.length).toBeGreaterThanOrEqual(500);
    expect(new Set(quickCases.map(({ area }) => area)).size).toBe(AREAS.length);
  });

  test('every id is unique and starts with its area', () => {
    const ids = allCases.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(allCases.filter(({ id, area }) => !id.startsWith(`${area}/`))).toEqual([]);
  });

  test('every case names its section of the RFC', () => {
    expect(allCases.filter(({ rfc, title }) => !/\d/.test(rfc) || title === '')).toEqual([]);
  });
});

test(
  'aiowebsocket passes every quick case',
  async () => {
    const run = await runCases(quickCases, aiowebsocket);

    expect(run.failures.map(describeFailure)).toEqual([]);
    expect(run.results.length).toBeGreaterThanOrEqual(500);
    expect(run.skipped).toBe(0);
    expect(run.milliseconds).toBeLessThan(LIMIT);
  },
  2 * LIMIT,
);

describe('ws', () => {
  test(
    'fails on the known differences and on nothing else',
    async () => {
      const { failures, skipped } = await runCases(quickCases, ws, {
        patience: patienceWith('ws'),
      });
      const failed = new Set(failures.map(({ subject }) => subject.id));
      const known = quickCases.map(({ id }) => id).filter((id) => explain('ws', id) !== undefined);

      const unexplained = failures.filter(({ subject }) => explain('ws', subject.id) === undefined);
      expect(unexplained.map(describeFailure)).toEqual([]);
      expect(known.filter((id) => !failed.has(id))).toEqual([]);
      expect(skipped).toBe(0);
    },
    2 * LIMIT,
  );

  test('has no entry in the table that covers no case', () => {
    const idle = (DIFFERENCES['ws'] ?? []).filter(
      ({ cases }) => !quickCases.some(({ id }) => cases.test(id)),
    );
    expect(idle).toEqual([]);
  });
});
