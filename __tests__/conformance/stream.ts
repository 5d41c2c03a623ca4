// Everything a client sends after its handshake, read frame by frame and held to the rules.
import { isUtf8 } from 'node:buffer';

import { Decompressor, type DeflateParameters } from './deflate.js';
import { applyMask, hex, type Message, Opcode } from './wire.js';

export interface CloseFrame {
  /** Undefined for an empty Close. */
  readonly code: number | undefined;
  readonly reason: string;
}

interface Head {
  readonly fin: boolean;
  readonly rsv: number;
  readonly opcode: number;
  readonly masked: boolean;
  readonly length: number;
  readonly size: number;
}

/** Codes a client may put into a Close frame (RFC 6455 section 7.4, and the registry of 11.7). */
export function mayBeSent(code: number): boolean {
  if (code >= 3000 && code <= 4999) return true;
  return code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
}

export class ClientStream {
  readonly messages: Message[] = [];
  readonly pings: Buffer[] = [];
  readonly pongs: Buffer[] = [];
  readonly keys: number[] = [];
  readonly violations: string[] = [];
  /** Compressed data frames received. */
  compressed = 0;
  close: CloseFrame | undefined;
  /** Octets received after the Close frame. */
  excess = 0;

  private chunks: Buffer[] = [];
  private size = 0;
  private needed = 2;
  private opcode: number | undefined;
  private inflating = false;
  private pieces: Buffer[] = [];
  private readonly decompressor: Decompressor | undefined;

  constructor(deflate: DeflateParameters | undefined) {
    this.decompressor = deflate === undefined ? undefined : new Decompressor(deflate);
  }

  /** Octets of a frame that has not arrived whole. */
  get pending(): number {
    return this.size;
  }

  feed(chunk: Buffer): void {
    if (this.close !== undefined) {
      if (this.excess === 0) this.violate(`sent ${hex(chunk)} after its Close frame`);
      this.excess += chunk.length;
      return;
    }
    this.chunks.push(chunk);
    this.size += chunk.length;
    if (this.size < this.needed) return;
    let data = this.chunks.length === 1 ? chunk : Buffer.concat(this.chunks);
    while (this.close === undefined) {
      const used = this.frame(data);
      if (used === 0) break;
      data = data.subarray(used);
    }
    this.chunks = data.length === 0 ? [] : [data];
    this.size = data.length;
    if (this.close === undefined || data.length === 0) return;
    this.chunks = [];
    this.feed(data);
  }

  private violate(what: string): void {
    if (this.violations.length < 8) this.violations.push(`client ${what}`);
  }

  /** Take one frame; the number of octets it had, or 0 when it is not whole yet. */
  private frame(data: Buffer): number {
    const head = this.head(data);
    this.needed = head === undefined ? data.length + 1 : head.size + head.length;
    if (head === undefined || data.length < this.needed) return 0;
    const body = data.subarray(head.size, this.needed);
    let payload = body;
    if (head.masked) {
      const key = data.subarray(head.size - 4, head.size);
      this.keys.push(key.readUInt32BE());
      payload = applyMask(body, key);
    } else {
      this.violate(`sent an unmasked frame (${hex(data.subarray(0, head.size))})`);
    }
    this.check(head);
    if (head.opcode >= 8) this.control(head, payload);
    else this.data(head, payload);
    const used = this.needed;
    this.needed = 2;
    return used;
  }

  private head(data: Buffer): Head | undefined {
    const [first, second] = data;
    if (first === undefined || second === undefined) return undefined;
    const short = second & 0x7f;
    const masked = (second & 0x80) !== 0;
    const size = (short === 126 ? 4 : short === 127 ? 10 : 2) + (masked ? 4 : 0);
    if (data.length < size) return undefined;
    let length = short;
    if (short === 126) length = data.readUInt16BE(2);
    if (short === 127) {
      length = Number(data.readBigUInt64BE(2));
      if (length > 2 ** 40) this.violate(`announced ${String(length)} octets`);
    }
    if ((short === 126 && length < 126) || (short === 127 && length < 65_536)) {
      this.violate(`wrote a length of ${String(length)} with ${short === 126 ? '16' : '64'} bits`);
    }
    const fin = (first & 0x80) !== 0;
    return { fin, rsv: (first >> 4) & 7, opcode: first & 0xf, masked, length, size };
  }

  private check({ fin, rsv, opcode, length }: Head): void {
    const starts = opcode === Opcode.text || opcode === Opcode.binary;
    const allowed = starts && this.decompressor !== undefined ? 4 : 0;
    if ((rsv & ~allowed) !== 0)
      this.violate(`set RSV bits ${String(rsv)} on opcode ${String(opcode)}`);
    if (opcode >= 8 && !fin) this.violate('sent a fragmented control frame');
    if (opcode >= 8 && length > 125) this.violate('sent a control frame of over 125 octets');
    const known = Object.values<number>(Opcode).includes(opcode);
    if (!known) this.violate(`sent the reserved opcode ${String(opcode)}`);
    if (starts && this.opcode !== undefined) this.violate('started a message within a message');
    if (opcode === Opcode.continuation && this.opcode === undefined) {
      this.violate('sent a continuation of nothing');
    }
  }

  private data(head: Head, payload: Buffer): void {
    if (head.opcode !== Opcode.continuation) {
      this.opcode = head.opcode;
      this.inflating = (head.rsv & 4) !== 0;
      this.pieces = [];
      if (this.inflating) this.compressed++;
    }
    this.pieces.push(payload);
    if (!head.fin) return;
    const whole = this.pieces.length === 1 ? payload : Buffer.concat(this.pieces);
    const opcode = this.opcode;
    this.opcode = undefined;
    this.pieces = [];
    this.message(opcode, this.inflating ? this.inflate(whole) : whole);
  }

  private inflate(payload: Buffer): Buffer {
    try {
      return this.decompressor?.decompress(payload) ?? payload;
    } catch (error) {
      this.violate(`sent bad deflate data: ${error instanceof Error ? error.message : 'unknown'}`);
      return Buffer.alloc(0);
    }
  }

  private message(opcode: number | undefined, data: Buffer): void {
    if (opcode !== Opcode.text) {
      this.messages.push(data);
      return;
    }
    if (!isUtf8(data)) this.violate(`sent a text that is not UTF-8 (${hex(data)})`);
    this.messages.push(data.toString('utf8'));
  }

  private control(head: Head, payload: Buffer): void {
    if (head.opcode === Opcode.ping) this.pings.push(payload);
    if (head.opcode === Opcode.pong) this.pongs.push(payload);
    if (head.opcode === Opcode.close) this.close = this.readClose(payload);
  }

  private readClose(payload: Buffer): CloseFrame {
    if (payload.length === 0) return { code: undefined, reason: '' };
    if (payload.length === 1) {
      this.violate('sent a Close with a body of one octet');
      return { code: undefined, reason: '' };
    }
    const code = payload.readUInt16BE();
    const reason = payload.subarray(2);
    if (!mayBeSent(code)) this.violate(`sent the Close code ${String(code)}`);
    if (!isUtf8(reason)) this.violate(`sent a Close reason that is not UTF-8 (${hex(reason)})`);
    return { code, reason: reason.toString('utf8') };
  }
}
