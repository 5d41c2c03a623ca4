// The suite has to notice every fault of a broken client: each is caught by the cases named for it.
import { simpleClient } from './broken.js';
import { type Fault, FAULTS } from './broken-faults.js';
import { quickCases } from './cases/index.js';
import { describeFailure } from './report.js';
import { runCases } from './runner.js';

const CAUGHT_BY: Readonly<Record<Fault, readonly string[]>> = {
  'no-masking': ['sending/text/1', 'framing/binary/65536'],
  'constant-mask-key': ['sending/mask-keys'],
  'zero-mask-key': ['sending/mask-keys'],
  'long-lengths': ['sending/binary/126', 'sending/text/65535'],
  'no-utf8-check': ['utf8/invalid/overlong/c0-af/whole', 'utf8/truncated/f0/fragments'],
  'utf8-at-the-end': [
    'utf8/fast/surrogate/d800/frame',
    'utf8/fast/above/110000/fragment',
    'utf8/fast/truncated/ef-bf',
  ],
  'utf8-per-frame': ['fragmentation/sequence/characters-cut', 'utf8/valid/u+0080/fragments'],
  'wrong-close-echo': ['close/code/4000', 'close/code/1001/reason'],
  'accepts-masked': ['framing/masked/text', 'framing/masked/ping', 'framing/masked/zero-key'],
  'accepts-reserved-bits': ['reserved/4/text', 'reserved/1/ping/header', 'reserved/2/continuation'],
  'accepts-reserved-opcodes': ['opcodes/3/payload', 'opcodes/11/header', 'opcodes/15/in-fragments'],
  'accepts-fragmented-control': ['fragmentation/control/ping', 'fragmentation/control/close'],
  'accepts-long-control': ['pings/too-long/ping/126', 'close/body/too-long/126'],
  'no-pong': ['pings/payload/5', 'fragmentation/between/ping'],
  'wrong-pong': ['pings/payload/125', 'pings/many/10/chopped-1'],
  'pong-for-pong': ['pings/pong/unsolicited-payload'],
  'accepts-unexpected-continuation': [
    'fragmentation/continuation/alone',
    'fragmentation/continuation/after-fragments',
  ],
  'accepts-missing-continuation': ['fragmentation/missing/text', 'fragmentation/missing/binary'],
  'delivers-fragments': ['fragmentation/text/18-by-9'],
  'accepts-long-lengths': [
    'framing/length/text/125-in-16-bits',
    'framing/length/binary/0-in-64-bits',
  ],
  'cuts-lengths': ['framing/length/binary/2-to-63', 'framing/length/continuation/2-to-32'],
  'sends-after-close': ['close/code/1000'],
  'reads-after-close': ['close/after/text', 'close/after/large'],
  'ignores-close-code': ['close/code/999', 'close/code/1005', 'close/code/5000'],
  'ignores-close-reason': ['close/reason/overlong/c0-80', 'close/reason/e1'],
  'ignores-short-close': ['close/body/one-octet'],
  'never-answers-close': ['close/code/1000', 'close/body/empty'],
  'fails-silently': ['reserved/4/text', 'opcodes/3/payload'],
  'fails-with-1000': ['reserved/4/text', 'utf8/invalid/never/ff/whole'],
  'goes-on-after-failure': ['close/failure/silence/protocol', 'close/failure/flood/utf8'],
  'no-close-time-out': ['close/client/silence', 'close/tcp/never-ended'],
  'no-payload-limit': ['limits/payload/text/over', 'limits/payload/binary/over/far'],
  'limit-at-the-end': [
    'limits/payload/text/over/header',
    'limits/payload/binary/fragments-over/header',
  ],
  'no-fragment-limit': ['limits/fragments/over'],
  'mis-splits-frames': ['framing/text/126/header-by-octets', 'framing/stream/chopped-7'],
  'drops-empty-messages': ['framing/text/0', 'fragmentation/binary/empty/all-of-2'],
  'text-as-binary': ['framing/text/1'],
  'swallows-glued-frames': ['handshake/glued/text', 'handshake/glued/one-octet'],
  'ignores-accept': ['handshake/accept/wrong', 'handshake/accept/missing'],
  'accept-any-case': ['handshake/accept/swapped-case'],
  'ignores-status': ['handshake/line/status-200', 'handshake/line/status-404'],
  'ignores-connection': ['handshake/connection/missing', 'handshake/connection/dash'],
  'accepts-unsolicited-protocol': ['handshake/protocol/unsolicited', 'handshake/protocol/upper'],
  'accepts-unsolicited-extension': ['deflate/offer/unasked/0', 'deflate/offer/unasked/2'],
  'no-head-limit': ['handshake/limit/head-over', 'handshake/endless/value'],
  'no-version': ['handshake/request/plain'],
  'short-key': ['handshake/request/plain'],
};

function named(ids: readonly string[]): typeof quickCases {
  return quickCases.filter(({ id }) => ids.includes(id));
}

const faults = Object.keys(FAULTS) as Fault[];

test('the client without faults passes every case named below', async () => {
  const ids = [...new Set(Object.values(CAUGHT_BY).flat())];
  expect(named(ids)).toHaveLength(ids.length);
  const run = await runCases(named(ids), simpleClient());
  expect(run.failures.map(describeFailure)).toEqual([]);
  expect(run.skipped).toBe(0);
});

test('there are at least 15 faults', () => {
  expect(faults.length).toBeGreaterThanOrEqual(15);
});

describe.each(faults)('%s', (fault) => {
  test(`a client that ${FAULTS[fault]} is caught`, async () => {
    const cases = named(CAUGHT_BY[fault]);
    const run = await runCases(cases, simpleClient(fault), { patience: () => 300 });
    const caught = run.failures
      .map(({ subject }) => subject.id)
      .filter((id) => !id.includes('/run/'));
    expect(caught.sort()).toEqual([...CAUGHT_BY[fault]].sort());
  });
});
