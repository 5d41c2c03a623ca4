// A deliberately simple client on a raw socket, right by itself, that can be given faults: they
// show that the suite notices each.
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

import type { Adapter, ClientOptions, Connection, Ended, Handlers, Opened } from './adapter.js';
import type { Fault } from './broken-faults.js';
import { Failure, SimpleReader } from './broken-frames.js';
import { SimpleHandshake } from './broken-handshake.js';
import { closeBody, frame, type Message, Opcode } from './wire.js';

const KEY = Buffer.from('a1b2c3d4', 'hex');

class SimpleConnection implements Connection {
  readonly opened: Promise<Opened>;
  readonly closed: Promise<Ended>;

  private readonly socket: Socket;
  private readonly handshake: SimpleHandshake;
  private readonly reader: SimpleReader;
  private state: 'connecting' | 'open' | 'over' = 'connecting';
  private closeSent = false;
  private received: Ended | undefined;
  private readonly openTimer: NodeJS.Timeout;
  private closeTimer: NodeJS.Timeout | undefined;
  private settleOpened: (opened: Opened) => void = () => undefined;
  private refuseOpened: (error: Error) => void = () => undefined;

  constructor(
    uri: string,
    private readonly options: ClientOptions,
    private readonly user: Handlers,
    private readonly has: (fault: Fault) => boolean,
  ) {
    const { hostname, port, host } = new URL(uri);
    this.opened = new Promise((resolve, reject) => {
      this.settleOpened = resolve;
      this.refuseOpened = reject;
    });
    this.handshake = new SimpleHandshake(options, has);
    this.reader = new SimpleReader(this.handlers(), options.maxPayload ?? 67_108_864, has);
    this.socket = connect({
      host: hostname,
      port: Number(port),
      allowHalfOpen: true,
      noDelay: true,
    });
    this.socket.write(this.handshake.request(host));
    this.closed = this.follow();
    const { openTimeout = 10_000 } = options;
    this.openTimer = setTimeout(() => {
      this.refuse(new Error('time-out'));
    }, openTimeout);
  }

  /** Resolves at the end of the socket. */
  private follow(): Promise<Ended> {
    this.socket.on('data', (chunk) => {
      this.read(chunk);
    });
    this.socket.on('error', () => undefined);
    this.socket.on('end', () => {
      this.refuseOpened(new Error('the connection ended'));
      this.socket.end();
    });
    return new Promise((resolve) => {
      this.socket.on('close', () => {
        clearTimeout(this.openTimer);
        clearTimeout(this.closeTimer);
        this.refuseOpened(new Error('the connection ended'));
        resolve(this.received ?? { code: 1006, reason: '' });
      });
    });
  }

  private refuse(error: Error): void {
    this.refuseOpened(error);
    this.state = 'over';
    this.socket.destroy();
  }

  private read(chunk: Buffer): void {
    try {
      if (this.state === 'connecting') this.readHead(chunk);
      else if (this.state === 'open') this.reader.feed(chunk, () => this.state === 'over');
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.fail(error);
    }
  }

  private readHead(chunk: Buffer): void {
    let accepted;
    try {
      accepted = this.handshake.feed(chunk);
    } catch (error) {
      this.refuse(error as Error);
      return;
    }
    if (accepted === undefined) return;
    clearTimeout(this.openTimer);
    this.state = 'open';
    this.settleOpened({ protocol: accepted.protocol });
    if (!this.has('swallows-glued-frames')) this.read(accepted.rest);
  }

  private handlers(): ConstructorParameters<typeof SimpleReader>[0] {
    return {
      message: (data) => {
        this.user.message(data);
      },
      ping: (payload) => {
        if (this.has('no-pong')) return;
        this.write(Opcode.pong, this.has('wrong-pong') ? Buffer.alloc(0) : payload);
      },
      pong: (payload) => {
        if (this.has('pong-for-pong')) this.write(Opcode.pong, payload);
      },
      close: (code, reason) => {
        this.answer(code, reason);
      },
    };
  }

  /** A Close came. */
  private answer(code: number | undefined, reason: string): void {
    this.received = { code: code ?? 1005, reason };
    if (!this.has('reads-after-close')) this.state = 'over';
    if (this.has('never-answers-close')) {
      this.socket.destroy();
      return;
    }
    const valid = code !== undefined && code >= 1000 && ![1004, 1005, 1006, 1015].includes(code);
    this.sendClose(this.has('wrong-close-echo') ? 1000 : valid ? code : undefined);
    if (this.has('sends-after-close')) this.put(Opcode.text, Buffer.from('one more thing'));
  }

  private fail(failure: Failure): void {
    if (this.has('fails-silently')) {
      this.socket.destroy();
      return;
    }
    if (!this.has('goes-on-after-failure')) this.state = 'over';
    this.sendClose(this.has('fails-with-1000') ? 1000 : failure.closeCode);
    if (!this.has('goes-on-after-failure')) this.socket.end();
  }

  private sendClose(code?: number, reason = ''): void {
    this.write(Opcode.close, closeBody(code, reason));
    this.closeSent = true;
    if (this.has('no-close-time-out')) return;
    this.closeTimer ??= setTimeout(() => {
      this.socket.destroy();
    }, this.options.closeTimeout ?? 10_000);
  }

  private write(opcode: number, payload: Buffer): void {
    if (this.state !== 'connecting' && !this.closeSent) this.put(opcode, payload);
  }

  private put(opcode: number, payload: Buffer): void {
    if (!this.socket.writable) return;
    this.socket.write(
      frame({
        opcode,
        payload,
        ...(this.has('no-masking') ? {} : { mask: this.key() }),
        ...(this.has('long-lengths') ? { form: 64 as const } : {}),
      }),
    );
  }

  private key(): Buffer {
    if (this.has('zero-mask-key')) return Buffer.alloc(4);
    return this.has('constant-mask-key') ? KEY : randomBytes(4);
  }

  send(data: Message): void {
    this.write(typeof data === 'string' ? Opcode.text : Opcode.binary, Buffer.from(data));
  }

  ping(data: Buffer): void {
    this.write(Opcode.ping, data);
  }

  close(code = 1000, reason = ''): void {
    if (!this.closeSent) this.sendClose(code, reason);
  }

  terminate(): void {
    this.socket.destroy();
  }
}

/** The client with the given faults; without any, one that follows the RFC. */
export function simpleClient(...faults: readonly Fault[]): Adapter {
  const has = (fault: Fault): boolean => faults.includes(fault);
  return {
    name: ['simple', ...faults].join(' '),
    compression: false,
    connect: (uri, options, handlers) => new SimpleConnection(uri, options, handlers, has),
  };
}
