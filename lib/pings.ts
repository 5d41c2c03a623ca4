/**
 * Pings that wait for their pong (RFC 6455 sections 5.5.2 and 5.5.3).
 * @packageDocumentation
 */

interface Ping {
  readonly payload: Buffer;
  readonly sentAt: number;
  readonly resolve: (latency: number) => void;
  readonly reject: (error: unknown) => void;
}

/** The pings that were sent, oldest first. */
export class PingLedger {
  #pings: Ping[] = [];

  /** A ping has been sent; resolves with its latency in milliseconds. */
  sent(payload: Buffer): Promise<number> {
    const sentAt = performance.now();
    return new Promise((resolve, reject) => {
      this.#pings.push({ payload, sentAt, resolve, reject });
    });
  }

  /**
   * A pong has come: it answers its ping, and those before it.
   * @returns the latency in milliseconds; undefined for a pong that answers none
   */
  answered(payload: Buffer): number | undefined {
    const index = this.#pings.findIndex((ping) => ping.payload.equals(payload));
    if (index < 0) return undefined;
    const now = performance.now();
    const answered = this.#pings.splice(0, index + 1);
    for (const ping of answered) ping.resolve(now - ping.sentAt);
    return now - (answered[index] as Ping).sentAt;
  }

  /** No pong will come any more. */
  fail(error: unknown): void {
    const pings = this.#pings;
    this.#pings = [];
    for (const ping of pings) ping.reject(error);
  }
}
