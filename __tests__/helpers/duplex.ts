/** A byte stream in memory, for who brings a transport of their own. */
import { Duplex } from 'node:stream';

/** What the client writes goes to `answer`; what that gives back, and what is pushed, is read. */
export class MemoryTransport extends Duplex {
  readonly written: Buffer[] = [];
  readonly #answer: (bytes: Buffer, transport: MemoryTransport) => void;

  constructor(answer: (bytes: Buffer, transport: MemoryTransport) => void = () => undefined) {
    super();
    this.#answer = answer;
  }

  /** All that has been written. */
  get bytes(): Buffer {
    return Buffer.concat(this.written);
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written.push(chunk);
    done();
    this.#answer(chunk, this);
  }

  override _final(done: () => void): void {
    done();
    this.push(null);
  }
}
