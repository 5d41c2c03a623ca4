// One case with one client: the script step by step, then what its outcome asks for.
import { setImmediate as turn } from 'node:timers/promises';

import type { Adapter, Connection, Ended, Opened } from './adapter.js';
import { type Case, type Outcome, type Step, write } from './case.js';
import { offerFaults, response } from './http.js';
import { Peer } from './peer.js';
import { compareMessages, comparePongs, keyFaults, type PongRule } from './verify.js';
import { close, type Message, ping, text } from './wire.js';

const PATIENCE = 15_000;
const CLOSE_TIMEOUT = 1_000;
const SYNC = Buffer.from('sync-');

/** The case cannot go on: what it waits for did not come. */
class Missed extends Error {}

type Fails = Extract<Outcome, { kind: 'fails' }>;
type Closes = Extract<Outcome, { kind: 'closes' }>;

function list(
  values: readonly Message[] | (() => readonly Message[]) | undefined,
): readonly Message[] {
  return typeof values === 'function' ? values() : (values ?? []);
}

export class Session {
  readonly problems: string[] = [];
  readonly peer: Peer;

  private readonly delivered: Message[] = [];
  private readonly patience: number;
  /** Whether the client has to fail the connection. */
  private readonly failing: boolean;
  private readonly watchers = new Set<() => void>();
  private connection: Connection | undefined;
  private opened: Opened | undefined;
  private refused = false;
  private ended: Ended | undefined;
  private syncs = 0;
  private expected: { messages: readonly Message[]; sent: readonly Message[] } | undefined;

  constructor(
    private readonly subject: Case,
    private readonly adapter: Adapter,
    patience = Infinity,
  ) {
    this.patience = Math.min(subject.patience ?? PATIENCE, patience);
    this.failing = subject.expect.outcome.kind === 'fails';
    this.peer = new Peer(subject.deflate, () => {
      this.changed();
    });
  }

  /** Run the case; `problems` is empty afterwards when it passed. */
  async run(): Promise<void> {
    try {
      await this.peer.listen();
      this.connect();
      if (await this.open()) {
        await this.steps(this.subject.script?.() ?? []);
        await this.finish(this.subject.expect.outcome);
      }
      this.verify();
    } catch (error) {
      if (!(error instanceof Missed)) throw error;
      this.problems.push(error.message);
    } finally {
      await this.cleanUp();
      this.problems.push(...this.peer.problems, ...this.peer.stream.violations);
    }
  }

  /** Made once, and only when needed: they may be large. */
  private lists(): { messages: readonly Message[]; sent: readonly Message[] } {
    if (this.expected === undefined) {
      const { expect, echo = true } = this.subject;
      const messages = list(expect.messages);
      const sent = expect.sent === undefined && echo ? messages : list(expect.sent);
      this.expected = { messages, sent };
    }
    return this.expected;
  }

  private connect(): void {
    const { options = {}, echo = true } = this.subject;
    const message = (data: Message): void => {
      this.delivered.push(data);
      if (echo) this.connection?.send(data);
      this.changed();
    };
    const settings = { closeTimeout: CLOSE_TIMEOUT, ...options };
    this.connection = this.adapter.connect(this.peer.uri, settings, { message });
    this.connection.opened.then(
      (opened) => {
        this.opened = opened;
        this.changed();
      },
      () => {
        this.refused = true;
        this.changed();
      },
    );
    void this.connection.closed.then((ended) => {
      this.ended = ended;
      this.changed();
    });
  }

  private changed(): void {
    for (const watch of [...this.watchers]) watch();
  }

  /** Resolves when `done` holds, and at the latest after `ms`. */
  private watch(done: () => boolean, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.watchers.delete(look);
        resolve();
      };
      const look = (): void => {
        if (done()) finish();
      };
      const timer = setTimeout(finish, ms);
      this.watchers.add(look);
      look();
    });
  }

  /** Wait for `ready`, but not when `hopeless` says why it cannot come any more. */
  private async until(
    what: string,
    ready: () => boolean,
    hopeless: () => string | undefined = () => undefined,
    ms = this.patience,
  ): Promise<void> {
    await this.watch(() => ready() || hopeless() !== undefined, ms);
    // What arrived while the event loop was busy counts: it is read before the time-out does.
    if (!ready()) await turn();
    if (ready()) return;
    throw new Missed(`expected ${what}, got ${hopeless() ?? `nothing in ${String(ms)} ms`}`);
  }

  /** Why nothing more can come from the client. */
  private readonly over = (): string | undefined => {
    const { stream, gone } = this.peer;
    if (stream.close !== undefined) return `a Close with ${String(stream.close.code)}`;
    if (!gone) return undefined;
    const rest = stream.pending === 0 ? '' : ` within a frame (${String(stream.pending)} octets)`;
    return `the end of TCP${rest}`;
  };

  /** The opening handshake; false when it failed as it should. */
  private async open(): Promise<boolean> {
    const { opening, glued, expect } = this.subject;
    const { outcome } = expect;
    await this.until(
      'a request',
      () => this.peer.request !== undefined,
      () => (this.peer.gone ? 'the end of TCP' : undefined),
    );
    const { request } = this.peer;
    if (request === undefined) return false;
    this.problems.push(...offerFaults(request, this.subject.options ?? {}));
    this.peer.switched = outcome.kind !== 'refuses' && outcome.kind !== 'either';
    await this.steps(opening?.(request) ?? [write(response(request))]);
    if (glued === true) return true;
    await this.until('an end of the handshake', () => this.refused || this.opened !== undefined);
    if (this.refused) return this.refusal();
    if (outcome.kind === 'refuses')
      throw new Missed('expected a failed handshake, got an open one');
    this.peer.switched = true;
    const { protocol = '' } = expect;
    if (this.opened?.protocol !== protocol && outcome.kind !== 'either') {
      const got = JSON.stringify(this.opened?.protocol);
      this.problems.push(`expected the subprotocol ${JSON.stringify(protocol)}, got ${got}`);
    }
    return true;
  }

  private async refusal(): Promise<boolean> {
    const { outcome } = this.subject.expect;
    if (outcome.kind !== 'refuses' && outcome.kind !== 'either') {
      const why: unknown = await this.connection?.opened.catch((error: unknown) => error);
      const said = why instanceof Error ? why.message : 'no reason';
      throw new Missed(`expected an open connection, got a failed handshake: ${said}`);
    }
    await this.until('the end of TCP', () => this.peer.gone);
    return false;
  }

  private async steps(steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      const early = this.failing && step.kind === 'write' ? this.over() : undefined;
      if (early !== undefined) throw new Missed(`expected no failure yet, got ${early}`);
      await this.step(step);
    }
  }

  private async step(step: Step): Promise<void> {
    switch (step.kind) {
      case 'write':
        return this.peer.write(step.bytes, step.chop, this.failing);
      case 'sync':
        return this.sync();
      case 'await':
        return this.awaitClient(step);
      case 'calm':
        return this.calm(step.ms);
      case 'client':
        if (this.connection !== undefined) step.run(this.connection);
        return;
      case 'delivered': {
        const { messages } = step;
        const what = `${String(messages)} messages delivered`;
        return this.until(what, () => this.delivered.length >= messages, this.over);
      }
      case 'flood':
        return this.flood(step.bytes, step.limit);
      case 'fin':
        this.peer.end();
        return;
      case 'reset':
        this.peer.reset();
    }
  }

  private async sync(): Promise<void> {
    const payload = Buffer.concat([SYNC, Buffer.from(String(this.syncs++))]);
    await this.peer.write(ping(payload));
    const answered = (): boolean => this.peer.stream.pongs.some((pong) => pong.equals(payload));
    await this.until('a pong', answered, this.over);
  }

  private async awaitClient(step: Extract<Step, { kind: 'await' }>): Promise<void> {
    const { stream } = this.peer;
    const { messages = 0, pings = 0, close: wantsClose = false } = step;
    if (wantsClose) {
      const gone = (): string | undefined => (this.peer.gone ? this.over() : undefined);
      return this.until('a Close', () => stream.close !== undefined, gone);
    }
    const what = `${String(messages)} messages and ${String(pings)} pings from the client`;
    const ready = (): boolean => stream.messages.length >= messages && stream.pings.length >= pings;
    await this.until(what, ready, this.over);
  }

  private async calm(ms: number): Promise<void> {
    await this.watch(() => this.over() !== undefined, ms);
    const early = this.over();
    if (early !== undefined) throw new Missed(`expected no failure yet, got ${early}`);
  }

  private async flood(bytes: Buffer, limit: number): Promise<void> {
    const taken = await this.peer.flood(bytes, limit, this.patience);
    if (this.peer.gone) return;
    throw new Missed(`expected the end of TCP, got ${String(taken)} octets taken`);
  }

  private async finish(outcome: Outcome): Promise<void> {
    switch (outcome.kind) {
      case 'works':
      case 'either':
        return this.finishWorking();
      case 'fails':
        return this.finishFailing(outcome);
      case 'closes':
        return this.finishClosing(outcome);
      case 'drops':
        await this.until('the close event', () => this.ended !== undefined);
        await this.until('the end of TCP', () => this.peer.gone);
        this.checkReport(outcome.reports);
        return;
      case 'refuses':
    }
  }

  private async finishWorking(): Promise<void> {
    const { stream } = this.peer;
    const { messages, sent } = this.lists();
    const pings = this.subject.expect.pings?.length ?? 0;
    await this.step({ kind: 'await', messages: sent.length, pings });
    await this.step({ kind: 'delivered', messages: messages.length });
    await this.sync();
    await this.peer.write(close(1000, 'done'));
    const gone = (): string | undefined => (this.peer.gone ? this.over() : undefined);
    await this.until('a Close', () => stream.close !== undefined, gone);
    await this.finishClosing({ kind: 'closes', sends: [1000], reports: [1000], reason: 'done' });
  }

  private async finishFailing({ codes, when, after = 'answer' }: Fails): Promise<void> {
    const { stream } = this.peer;
    const what = `a Close with ${codes.join(' or ')}, ${when}`;
    const gone = (): string | undefined => (this.peer.gone ? this.over() : undefined);
    await this.until(what, () => stream.close !== undefined, gone);
    this.checkClose(codes);
    if (after === 'answer') {
      await this.peer.write(close(stream.close?.code));
      this.peer.end();
    } else if (after === 'flood') {
      await this.flood(text('too late'), Infinity);
    }
    await this.until('the end of TCP', () => this.peer.gone);
    this.peer.end();
    await this.until('the close event', () => this.ended !== undefined);
    this.checkReport([1006, ...codes]);
  }

  private async finishClosing(outcome: Closes): Promise<void> {
    const { stream } = this.peer;
    const gone = (): string | undefined => (this.peer.gone ? this.over() : undefined);
    await this.until('a Close', () => stream.close !== undefined, gone);
    this.checkClose(outcome.sends);
    if (outcome.patience !== undefined) {
      await this.watch(() => this.peer.gone, outcome.patience);
      if (this.peer.gone) this.problems.push('client ended TCP before the server did');
    }
    if (outcome.silent !== true) this.peer.end();
    await this.until('the end of TCP', () => this.peer.gone);
    this.peer.end();
    await this.until('the close event', () => this.ended !== undefined);
    this.checkReport(outcome.reports);
    if (outcome.reason !== undefined && this.ended?.reason !== outcome.reason) {
      const got = JSON.stringify(this.ended?.reason);
      this.problems.push(`expected the reason ${JSON.stringify(outcome.reason)}, got ${got}`);
    }
  }

  private checkClose(codes: readonly (number | undefined)[]): void {
    const got = this.peer.stream.close;
    if (got === undefined || codes.includes(got.code)) return;
    const wanted = codes.map(String).join(' or ');
    this.problems.push(`expected a Close with ${wanted}, got ${String(got.code)} "${got.reason}"`);
  }

  private checkReport(codes: readonly number[]): void {
    if (this.ended === undefined || codes.includes(this.ended.code)) return;
    const wanted = codes.join(' or ');
    this.problems.push(`expected the client to report ${wanted}, got ${String(this.ended.code)}`);
  }

  private verify(): void {
    const { expect } = this.subject;
    const { stream } = this.peer;
    const complete = expect.outcome.kind === 'works';
    const strict = complete || expect.outcome.kind === 'closes';
    const { messages, sent } = this.lists();
    const pongs = stream.pongs.filter((payload) => !payload.subarray(0, SYNC.length).equals(SYNC));
    const rule: PongRule = !strict ? 'some' : expect.lastPongSuffices === true ? 'last' : 'each';
    const wanted = (expect.pongs ?? []).map((payload) => Buffer.from(payload));
    this.problems.push(
      ...compareMessages('delivered', messages, this.delivered, false),
      ...compareMessages('received from the client', sent, stream.messages, !complete),
      ...comparePongs(wanted, pongs, rule),
      ...keyFaults(stream.keys),
    );
    if (complete) this.problems.push(...this.comparePings(expect.pings ?? []));
  }

  private comparePings(expected: readonly Buffer[]): string[] {
    const got = this.peer.stream.pings;
    const same = expected.every((payload, index) => got[index]?.equals(payload) === true);
    if (same && got.length === expected.length) return [];
    return [`expected ${String(expected.length)} pings from the client, got ${String(got.length)}`];
  }

  /** Leave nothing behind; a client that never says that it is closed is at fault. */
  private async cleanUp(): Promise<void> {
    this.connection?.terminate();
    await this.peer.destroy();
    if (this.connection === undefined) return;
    await this.watch(() => this.ended !== undefined, this.patience);
    if (this.ended === undefined) this.problems.push('client never reported its end');
  }
}
