/** What an attempt to open a connection tells, and how it has to end when it fails. */
import { SocketState, type AioWebSocket, type CloseInfo } from 'aiowebsocket';

/** Everything that an AioWebSocket told, in order. */
export interface Seen {
  readonly events: string[];
  readonly errors: unknown[];
  readonly closes: CloseInfo[];
  readonly states: SocketState[];
}

export function observe(aws: AioWebSocket): Seen {
  const seen: Seen = { events: [], errors: [], closes: [], states: [] };
  aws.on('open', () => seen.events.push('open'));
  aws.on('error', (error) => {
    seen.events.push('error');
    seen.errors.push(error);
  });
  aws.on('close', (code, reason, info) => {
    seen.events.push('close');
    expect([code, reason]).toEqual([info.code, info.reason]);
    seen.closes.push(info);
  });
  aws.on('state', (state) => seen.states.push(state));
  return seen;
}

/** Opens it, and gives what that rejects with. */
export async function rejection(opening: Promise<unknown>): Promise<unknown> {
  let opened: unknown;
  try {
    opened = await opening;
  } catch (error) {
    return error;
  }
  throw new Error(`it should have failed, and gave ${String(opened)}`);
}

/**
 * Opens it, which has to fail as every opening fails: with one error, the same for `error`, the
 * promise and the close info; with one `close` behind it, 1006; and with nothing left.
 */
export async function failure<E extends Error>(
  aws: AioWebSocket,
  type: new (...args: never[]) => E,
): Promise<E> {
  const seen = observe(aws);
  const error = await rejection(aws.createConnection());
  const info = await aws.closed;

  if (!(error instanceof type)) throw error;
  expect(seen.events).toEqual(['error', 'close']);
  expect(seen.errors[0]).toBe(error);
  expect(seen.closes).toEqual([info]);
  expect(info).toMatchObject({ code: 1006, reason: '', wasClean: false, discarded: 0 });
  expect(info.error).toBe(error);
  expect(seen.states).toEqual([SocketState.connecting, SocketState.closed]);
  expect(aws.state).toBe(SocketState.closed);
  expect(aws.transport?.destroyed ?? true).toBe(true);
  return error;
}

/** Gives up an attempt that `end` ends on purpose: no `error`, one `close`. */
export async function givenUp(
  aws: AioWebSocket,
  end: (signal: AbortController) => unknown,
): Promise<unknown> {
  const seen = observe(aws);
  const controller = new AbortController();
  const opening = rejection(aws.createConnection({ signal: controller.signal }));
  await end(controller);
  const error = await opening;
  const info = await aws.closed;

  expect(seen.events).toEqual(['close']);
  expect(info).toEqual({
    code: 1006,
    reason: '',
    wasClean: false,
    initiatedBy: 'local',
    discarded: 0,
  });
  expect(aws.state).toBe(SocketState.closed);
  expect(aws.transport?.destroyed ?? true).toBe(true);
  return error;
}
