// The frame reader of the deliberately simple client.
import { isUtf8 } from 'node:buffer';

import type { Fault } from './broken-faults.js';
import { Utf8Checker } from './utf8.js';
import { applyMask, type Message, Opcode } from './wire.js';

const FRAGMENT_LIMIT = 131_072;

/** The connection must be failed with this code. */
export class Failure extends Error {
  constructor(
    readonly closeCode: number,
    message: string,
  ) {
    super(message);
  }
}

export interface FrameHandlers {
  message: (data: Message) => void;
  ping: (payload: Buffer) => void;
  pong: (payload: Buffer) => void;
  close: (code: number | undefined, reason: string) => void;
}

interface Head {
  readonly fin: boolean;
  readonly opcode: number;
  readonly length: number;
  readonly key: Buffer | undefined;
}

export class SimpleReader {
  private pending: Buffer = Buffer.alloc(0);
  private head: Head | undefined;
  /** What of the frame is still to come. */
  private missing = 0;
  private body: Buffer[] = [];
  private opcode: number | undefined;
  private pieces: Buffer[] = [];
  private fragments = 0;
  private size = 0;
  private text = new Utf8Checker();

  constructor(
    private readonly handlers: FrameHandlers,
    private readonly maxPayload: number,
    private readonly has: (fault: Fault) => boolean,
  ) {}

  /** @throws {Failure} when the connection must be failed */
  feed(chunk: Buffer, over: () => boolean): void {
    let data = this.pending.length === 0 ? chunk : Buffer.concat([this.pending, chunk]);
    this.pending = Buffer.alloc(0);
    while (!over()) {
      if (this.head === undefined) {
        const size = this.readHead(data);
        if (size === 0) {
          if (!this.has('mis-splits-frames')) this.pending = Buffer.from(data);
          return;
        }
        data = data.subarray(size);
      }
      data = this.readBody(data);
      if (this.missing > 0) return;
    }
  }

  private refuse(unless: Fault, message: string, code = 1002): void {
    if (!this.has(unless)) throw new Failure(code, message);
  }

  /** Take a header; its size, or 0 when it is not whole. */
  private readHead(data: Buffer): number {
    const [first, second] = data;
    if (first === undefined || second === undefined) return 0;
    const fin = (first & 0x80) !== 0;
    const opcode = first & 0x0f;
    const masked = (second & 0x80) !== 0;
    const short = second & 0x7f;
    this.checkStart(first, masked, short);
    const extra = short === 126 ? 2 : short === 127 ? 8 : 0;
    const size = 2 + extra + (masked ? 4 : 0);
    if (data.length < size) return 0;
    const length = this.readLength(data, short);
    const key = masked ? Buffer.from(data.subarray(size - 4, size)) : undefined;
    this.head = { fin, opcode, length, key };
    this.missing = length;
    this.body = [];
    if (opcode < 8) this.start(opcode, length);
    return size;
  }

  private checkStart(first: number, masked: boolean, short: number): void {
    const opcode = first & 0x0f;
    if ((first & 0x70) !== 0) this.refuse('accepts-reserved-bits', 'a reserved bit');
    const known = opcode <= 2 || (opcode >= 8 && opcode <= 10);
    if (!known) this.refuse('accepts-reserved-opcodes', 'a reserved opcode');
    if (masked) this.refuse('accepts-masked', 'a masked frame');
    if (opcode >= 8) {
      if ((first & 0x80) === 0)
        this.refuse('accepts-fragmented-control', 'a fragmented control frame');
      if (short > 125) this.refuse('accepts-long-control', 'a long control frame');
    } else if (opcode === Opcode.continuation) {
      if (this.opcode === undefined) this.refuse('accepts-unexpected-continuation', 'no message');
    } else if (this.opcode !== undefined && opcode <= 2) {
      this.refuse('accepts-missing-continuation', 'a message within a message');
    }
  }

  private readLength(data: Buffer, short: number): number {
    if (short < 126) return short;
    if (short === 126) {
      const length = data.readUInt16BE(2);
      if (length < 126) this.refuse('accepts-long-lengths', 'a length that is not minimal');
      return length;
    }
    if (this.has('cuts-lengths')) return data.readUInt32BE(6);
    const length = data.readBigUInt64BE(2);
    if (length >= 2n ** 63n) throw new Failure(1002, 'a length with the high bit set');
    if (length < 65_536n) this.refuse('accepts-long-lengths', 'a length that is not minimal');
    return Number(length);
  }

  /** The header of a data frame is whole. */
  private start(opcode: number, length: number): void {
    if (opcode !== Opcode.continuation || this.opcode === undefined) {
      this.opcode = opcode === Opcode.continuation ? Opcode.text : opcode;
      this.pieces = [];
      this.size = 0;
      this.fragments = 0;
      this.text = new Utf8Checker();
    }
    this.size += length;
    if (this.size <= this.maxPayload || this.has('no-payload-limit')) return;
    this.refuse('limit-at-the-end', 'the message is too long', 1009);
  }

  /** Take what there is of the payload; gives what is left. */
  private readBody(data: Buffer): Buffer {
    const { head } = this;
    if (head === undefined) return data;
    const part = data.subarray(0, this.missing);
    this.missing -= part.length;
    this.body.push(Buffer.from(part));
    if (head.opcode < 8) this.checkText(part);
    if (this.missing > 0) return Buffer.alloc(0);
    this.head = undefined;
    const whole = Buffer.concat(this.body);
    const payload = head.key === undefined ? whole : applyMask(whole, head.key);
    if (head.opcode <= 2) this.data(payload, head.fin);
    else this.control(head.opcode, payload);
    return data.subarray(part.length);
  }

  private checkText(part: Buffer): void {
    if (this.opcode !== Opcode.text) return;
    if (this.has('no-utf8-check') || this.has('utf8-at-the-end') || this.has('utf8-per-frame'))
      return;
    if (this.text.feed(part) >= 0) throw new Failure(1007, 'a wrong octet in a text');
  }

  private data(payload: Buffer, fin: boolean): void {
    this.fragments++;
    if (this.fragments > FRAGMENT_LIMIT)
      this.refuse('no-fragment-limit', 'too many fragments', 1008);
    if (this.has('utf8-per-frame') && this.opcode === Opcode.text && !isUtf8(payload)) {
      throw new Failure(1007, 'a wrong octet in a frame');
    }
    if (this.has('delivers-fragments')) this.deliver(payload);
    else this.pieces.push(payload);
    if (!fin) return;
    const whole = Buffer.concat(this.pieces);
    if (whole.length > this.maxPayload && !this.has('no-payload-limit')) {
      throw new Failure(1009, 'the message is too long');
    }
    if (!this.has('delivers-fragments')) this.deliver(whole);
    this.opcode = undefined;
  }

  private deliver(data: Buffer): void {
    if (data.length === 0 && this.has('drops-empty-messages')) return;
    if (this.opcode !== Opcode.text || this.has('text-as-binary')) {
      this.handlers.message(data);
      return;
    }
    if (!this.has('no-utf8-check') && (!this.text.whole || !isUtf8(data))) {
      throw new Failure(1007, 'the text is not UTF-8');
    }
    this.handlers.message(data.toString('utf8'));
  }

  private control(opcode: number, payload: Buffer): void {
    if (opcode === Opcode.ping) this.handlers.ping(payload);
    if (opcode === Opcode.pong) this.handlers.pong(payload);
    if (opcode === Opcode.close) this.close(payload);
  }

  private close(payload: Buffer): void {
    if (payload.length === 1) this.refuse('ignores-short-close', 'a Close of one octet');
    if (payload.length < 2) {
      this.handlers.close(undefined, '');
      return;
    }
    const code = payload.readUInt16BE();
    const reason = payload.subarray(2);
    const valid =
      (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) ||
      (code >= 3000 && code <= 4999);
    if (!valid) this.refuse('ignores-close-code', 'a wrong code');
    if (!isUtf8(reason)) this.refuse('ignores-close-reason', 'the reason is not UTF-8', 1007);
    this.handlers.close(code, reason.toString('utf8'));
  }
}
