// Runs cases side by side, each with a server of its own on an ephemeral port of 127.0.0.1.
import type { Adapter } from './adapter.js';
import { AREAS, type Area, type Case } from './case.js';
import { Session } from './session.js';
import { keyFaults } from './verify.js';
import { hex } from './wire.js';

export interface CaseResult {
  readonly subject: Case;
  /** Empty when the case passed. */
  readonly problems: readonly string[];
  readonly milliseconds: number;
  /** What the server wrote last, in hexadecimal. */
  readonly last: string;
}

export interface RunResult {
  readonly client: string;
  readonly results: readonly CaseResult[];
  readonly failures: readonly CaseResult[];
  /** Cases left out because the client cannot offer compression. */
  readonly skipped: number;
  readonly milliseconds: number;
}

export interface RunOptions {
  /** Cases under way at once. @default 32 */
  readonly concurrency?: number;
  /** Milliseconds each wait of a case may take at most. @default what the case says */
  readonly patience?: (subject: Case) => number;
  /** Told of every case as it ends. */
  readonly onResult?: (result: CaseResult) => void;
}

/** What one run saw of every connection. */
interface Audit {
  readonly maskKeys: number[];
  readonly handshakeKeys: string[];
}

async function runCase(
  subject: Case,
  adapter: Adapter,
  audit: Audit,
  patience: number | undefined,
): Promise<CaseResult> {
  const session = new Session(subject, adapter, patience);
  const start = performance.now();
  try {
    await session.run();
  } catch (error) {
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
    session.problems.push(`the case threw: ${what}`);
  }
  const { stream, request, last } = session.peer;
  if (stream.keys[0] !== undefined) audit.maskKeys.push(stream.keys[0]);
  if (request !== undefined) audit.handshakeKeys.push(request.key);
  const milliseconds = performance.now() - start;
  return { subject, problems: session.problems, milliseconds, last: hex(last) };
}

/** Take from one list with so many hands. */
async function drain(
  queue: Case[],
  hands: number,
  work: (subject: Case) => Promise<void>,
): Promise<void> {
  const hand = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await work(next);
  };
  await Promise.all(Array.from({ length: hands }, hand));
}

/** What can only be judged over many connections. */
function auditResults({ maskKeys, handshakeKeys }: Audit): CaseResult[] {
  const make = (
    area: Area,
    name: string,
    title: string,
    rfc: string,
    problems: string[],
  ): CaseResult => ({
    subject: {
      id: `${area}/run/${name}`,
      area,
      title,
      rfc,
      expect: { outcome: { kind: 'works' } },
    },
    problems,
    milliseconds: 0,
    last: '',
  });
  const repeated = handshakeKeys.length - new Set(handshakeKeys).size;
  const keyProblems =
    repeated === 0 ? [] : [`${String(repeated)} Sec-WebSocket-Key were used again`];
  return [
    make(
      'sending',
      'mask-keys',
      'first masking keys of all connections differ',
      '5.3',
      keyFaults(maskKeys),
    ),
    make('handshake', 'keys', 'every connection has a key of its own', '4.1', keyProblems),
  ];
}

/** Run the cases with one client. Never rejects for a fault of the client. */
export async function runCases(
  cases: readonly Case[],
  adapter: Adapter,
  { concurrency = 32, patience, onResult }: RunOptions = {},
): Promise<RunResult> {
  const start = performance.now();
  const able = cases.filter(
    (subject) => adapter.compression || subject.options?.compression === undefined,
  );
  const results: CaseResult[] = [];
  const audit: Audit = { maskKeys: [], handshakeKeys: [] };
  const work = async (subject: Case): Promise<void> => {
    const result = await runCase(subject, adapter, audit, patience?.(subject));
    results.push(result);
    onResult?.(result);
  };
  await drain(
    able.filter((subject) => subject.heavy !== true),
    concurrency,
    work,
  );
  await drain(
    able.filter((subject) => subject.heavy === true),
    Math.min(2, concurrency),
    work,
  );
  if (able.length > 1) results.push(...auditResults(audit));
  return {
    client: adapter.name,
    results,
    failures: results.filter(({ problems }) => problems.length > 0),
    skipped: cases.length - able.length,
    milliseconds: performance.now() - start,
  };
}

/** Results by area, in the order of the areas. */
export function byArea(results: readonly CaseResult[]): [Area, CaseResult[]][] {
  return AREAS.map((area): [Area, CaseResult[]] => [
    area,
    results.filter(({ subject }) => subject.area === area),
  ]).filter(([, list]) => list.length > 0);
}
