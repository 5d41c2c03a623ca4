/** A server that breaks the protocol: what it is told, and what the user is. */
import { ConnectionClosedError, FrameError, SocketState, type ErrorCode } from 'aiowebsocket';
import {
  binary,
  close,
  closeBody,
  continuation,
  frame,
  header,
  open,
  Opcode,
  ping,
  text,
} from './helpers/peer.js';

const limits = { maxPayload: 1000, maxFragments: 4 };
const key = Buffer.from([1, 2, 3, 4]);

const faults: readonly (readonly [string, Buffer, number, ErrorCode])[] = [
  ['a masked frame', text('hi', { mask: key }), 1002, 'ERR_FRAME_PROTOCOL'],
  ['a masked frame, by its header alone', Buffer.from([0x81, 0x82]), 1002, 'ERR_FRAME_PROTOCOL'],
  ['RSV1', text('hi', { rsv: 4 }), 1002, 'ERR_FRAME_PROTOCOL'],
  ['RSV2', binary('hi', { rsv: 2 }), 1002, 'ERR_FRAME_PROTOCOL'],
  ['RSV3 on a ping', ping('hi', { rsv: 1 }), 1002, 'ERR_FRAME_PROTOCOL'],
  ['opcode 3', frame({ opcode: 3 }), 1002, 'ERR_FRAME_PROTOCOL'],
  ['opcode 11', frame({ opcode: 11 }), 1002, 'ERR_FRAME_PROTOCOL'],
  ['a continuation of nothing', continuation('hi'), 1002, 'ERR_FRAME_PROTOCOL'],
  [
    'a message within a message',
    Buffer.concat([text('a', { fin: false }), text('b')]),
    1002,
    'ERR_FRAME_PROTOCOL',
  ],
  ['a fragmented ping', ping('hi', { fin: false }), 1002, 'ERR_FRAME_PROTOCOL'],
  ['a ping of 126 bytes', ping('x'.repeat(126)), 1002, 'ERR_FRAME_PROTOCOL'],
  ['a length that is not minimal', text('hi', { form: 16 }), 1002, 'ERR_FRAME_PROTOCOL'],
  ['a 64-bit length that is not minimal', text('hi', { form: 64 }), 1002, 'ERR_FRAME_PROTOCOL'],
  [
    'a length above 2^63',
    header({ opcode: Opcode.binary, form: 64, announce: 2n ** 63n }),
    1002,
    'ERR_FRAME_PROTOCOL',
  ],
  ['a Close of one byte', frame({ opcode: 8, payload: 'x' }), 1002, 'ERR_FRAME_PROTOCOL'],
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65_535].map(
    (code) => [`a Close with ${code}`, close(code), 1002, 'ERR_FRAME_PROTOCOL'] as const,
  ),
  [
    'a Close whose reason is not UTF-8',
    frame({ opcode: 8, payload: closeBody(1000, Buffer.from([0xff])) }),
    1007,
    'ERR_FRAME_UTF8',
  ],
  ['text that is not UTF-8', text(Buffer.from([0x61, 0xff])), 1007, 'ERR_FRAME_UTF8'],
  [
    'a first fragment that is not UTF-8, before the message ends',
    text(Buffer.from([0xed, 0xa0]), { fin: false }),
    1007,
    'ERR_FRAME_UTF8',
  ],
  [
    'an invalid byte, before its frame ends',
    Buffer.concat([header({ opcode: Opcode.text, announce: 500 }), Buffer.from([0xff])]),
    1007,
    'ERR_FRAME_UTF8',
  ],
  ['text that ends within a character', text(Buffer.from([0xc3])), 1007, 'ERR_FRAME_UTF8'],
  ['a frame above maxPayload', binary(Buffer.alloc(1001)), 1009, 'ERR_FRAME_TOO_BIG'],
  [
    'a frame above maxPayload, by its header alone',
    header({ opcode: Opcode.binary, announce: 2 ** 40 }),
    1009,
    'ERR_FRAME_TOO_BIG',
  ],
  [
    'fragments above maxPayload',
    Buffer.concat([binary(Buffer.alloc(600), { fin: false }), continuation(Buffer.alloc(401))]),
    1009,
    'ERR_FRAME_TOO_BIG',
  ],
  [
    'more fragments than maxFragments, empty ones',
    Buffer.concat([
      text('', { fin: false }),
      ...Array<Buffer>(4).fill(continuation('', { fin: false })),
    ]),
    1008,
    'ERR_FRAME_TOO_MANY_FRAGMENTS',
  ],
];

test.each(faults)(
  '%s fails the connection at once: one error, one close with 1006, and the server is told',
  async (_what, bytes, closeCode, code) => {
    const { aws, converse, peer } = await open(limits);
    const told: unknown[] = [];
    aws.on('error', (error) => told.push(error));
    aws.on('close', (closed) => told.push(closed));
    const pending = Promise.allSettled([converse.receive(), converse.ping(), converse.receive()]);

    peer.send(bytes, ping('behind'), text('behind'));
    const frameOfClose = await peer.closeFrame();
    const info = await aws.closed;

    expect(frameOfClose.payload.readUInt16BE()).toBe(closeCode);
    expect(info.error).toBeInstanceOf(FrameError);
    expect(info.error).toMatchObject({ code, closeCode, phase: 'open' });
    expect(info).toMatchObject({ code: 1006, reason: '', wasClean: false, initiatedBy: 'local' });
    expect(told).toEqual([info.error, 1006]);
    for (const one of await pending)
      expect(one).toEqual({ status: 'rejected', reason: info.error });
    expect(peer.payloads(Opcode.pong)).toEqual([]);
    await peer.until(() => peer.gone);
  },
);

test('a limit that is just kept is no fault', async () => {
  const { converse, peer } = await open(limits);

  peer.send(
    binary(Buffer.alloc(1000)),
    ...[text('a', { fin: false }), continuation('', { fin: false })],
    ...[continuation('', { fin: false }), continuation('b')],
    ping('x'.repeat(125)),
  );

  expect(await converse.receive()).toHaveLength(1000);
  expect(await converse.receive()).toBe('ab');
  expect((await peer.next()).payload).toHaveLength(125);
});

test('the error shows the bytes that broke the protocol', async () => {
  const { aws, peer } = await open();

  peer.send(Buffer.from([0x83, 0x00]));

  const { error } = await aws.closed;
  expect(error?.message).toMatch(/^the server sent .*reserved opcode.*\(bytes 83\)$/);
});

test('messages before the fault are given, then ConnectionClosed with it as cause', async () => {
  const { aws, converse, peer } = await open();
  peer.send(text('one'), text('two'), frame({ opcode: 3 }));
  const { error } = await aws.closed;

  expect([await converse.receive(), await converse.receive()]).toEqual(['one', 'two']);
  const third = converse.receive();
  await expect(third).rejects.toBeInstanceOf(ConnectionClosedError);
  await expect(third).rejects.toMatchObject({ closeCode: 1006, cause: error });
  await expect(converse.send('late')).rejects.toMatchObject({ cause: error });
});

test('the stream is ended right behind the Close that tells the fault', async () => {
  const { aws, peer } = await open({ closeTimeout: 60_000 }, { polite: false });

  peer.send(frame({ opcode: 3 }));
  await peer.closeFrame();
  await peer.until(() => peer.ended);

  expect(aws.transport?.destroyed).toBe(false);
});

test('a server that answers the Close but never ends is left after closeTimeout', async () => {
  const { aws, peer } = await open({ closeTimeout: 100 }, { polite: false });

  peer.send(frame({ opcode: 3 }));

  expect(await aws.closed).toMatchObject({ code: 1006, error: { closeCode: 1002 } });
  await peer.until(() => peer.ended);
});

test('a fault while closing ends it, with the fault as the error', async () => {
  const { aws, peer } = await open({}, { polite: false });
  const errors: Error[] = [];
  aws.on('error', (error) => errors.push(error));
  const closing = aws.closeConnection();
  await peer.closeFrame();

  peer.send(frame({ opcode: 3 }));
  const info = await closing;

  expect(info.error).toBeInstanceOf(FrameError);
  expect(info).toMatchObject({ code: 1006, wasClean: false });
  expect(errors).toEqual([info.error]);
  await peer.until(() => peer.ended);
  expect(peer.payloads(Opcode.close)).toHaveLength(1);
});

test('an unheard error harms nobody', async () => {
  const { aws, peer } = await open();

  peer.send(frame({ opcode: 3 }));
  await aws.closed;

  expect(aws.state).toBe(SocketState.closed);
});
