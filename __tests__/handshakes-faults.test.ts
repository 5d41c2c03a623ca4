/** Answers that are no HTTP/1.1, or too much of it. */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import {
  AioWebSocket,
  HandShake,
  HandShakeError,
  parseUri,
  type AioWebSocketOptions,
} from 'aiowebsocket';
import { failure } from './helpers/opening.js';
import { acceptance, closeServers, RawServer, readHead } from './helpers/raw-server.js';

afterEach(closeServers);

async function fault(
  answer: (socket: Socket, head: string) => unknown,
  options?: AioWebSocketOptions,
): Promise<HandShakeError> {
  const server = await RawServer.listen(async (socket) => {
    await answer(socket, await readHead(socket));
  });
  const error = await failure(new AioWebSocket(server.url, options), HandShakeError);
  await server.emptied();
  expect(error.phase).toBe('handshake');
  return error;
}

const accepting = (head: string, ...fields: string[]): string =>
  acceptance(head).replace('\r\n\r\n', `\r\n${[...fields, '', ''].join('\r\n')}`);

test.each([
  ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n'],
  ['an SMTP greeting', '220 mail.example ESMTP\r\n'],
  ['a TLS alert', Buffer.from('15030100020246', 'hex')],
  ['bytes', Buffer.alloc(64, 0xff)],
  ['NUL', Buffer.alloc(1)],
  ['an empty line first', '\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n'],
  ['HTTP/1.0', 'HTTP/1.0 101 Switching Protocols\r\n\r\n'],
  ['HTTP/2', 'HTTP/2 101\r\n\r\n'],
  ['HTTP/1.7, its line not ended', 'HTTP/1.7 '],
  ['another case', 'http/1.1 101 Switching Protocols\r\n\r\n'],
  ['a frame at once', Buffer.from('810548656c6c6f', 'hex')],
  ['HTML', '<!DOCTYPE html><html>'],
])('%s instead of HTTP/1.1 fails at once, and is shown', async (_what, answer) => {
  const error = await fault((socket) => socket.write(answer));

  expect(error.code).toBe('ERR_HANDSHAKE_RESPONSE');
  expect(error.message).toContain('HTTP/1.1');
  expect(error.status).toBeUndefined();
});

test.each([
  ['no status', 'HTTP/1.1 \r\n'],
  ['a status of two digits', 'HTTP/1.1 10 x\r\n'],
  ['a status of four digits', 'HTTP/1.1 1010 x\r\n'],
  ['a status in letters', 'HTTP/1.1 abc x\r\n'],
  ['a status below 100', 'HTTP/1.1 099 x\r\n'],
  ['two spaces', 'HTTP/1.1  101 x\r\n'],
  ['NUL in the text', 'HTTP/1.1 101 a\0b\r\n'],
  ['CR in the text', 'HTTP/1.1 101 a\rb\r\n'],
  ['LF alone', 'HTTP/1.1 101 x\n'],
])('a status line with %s fails', async (_what, line) => {
  expect((await fault((socket) => socket.write(`${line}\r\n`))).code).toBe(
    'ERR_HANDSHAKE_RESPONSE',
  );
});

test.each([
  ['no colon', 'Nonsense'],
  ['a space before the colon', 'Server : x'],
  ['a folded line', ' folded'],
  ['an empty name', ': x'],
  ['NUL in the value', 'Server: a\0b'],
  ['CR in the value', 'Server: a\rb'],
  ['LF alone', 'Server: a\nX: b'],
  ['a name that is no token', 'Ser(ver: x'],
])('a field with %s fails', async (_what, line) => {
  const error = await fault((socket, head) => socket.write(accepting(head, line)));

  expect(error).toMatchObject({ code: 'ERR_HANDSHAKE_RESPONSE', status: 101 });
});

test.each([
  ['NUL', 'Server: a\0'],
  ['CR', 'Server: a\rX-Powered-By: b\r'],
  ['an escape', 'Server: \x1b[31m'],
])('a line with %s fails before it ends, which may be never', async (_what, line) => {
  const before = await fault((socket) => socket.write(line.replace('Server: ', 'HTTP/1.1 101 ')));
  expect(before).toMatchObject({ code: 'ERR_HANDSHAKE_RESPONSE' });

  const after = await fault((socket) => socket.write(`HTTP/1.1 403 No\r\n${line}`));
  expect(after).toMatchObject({ code: 'ERR_HANDSHAKE_RESPONSE', status: 403 });
});

test('a CR alone fails also where what follows it comes later', async () => {
  const transport = new Duplex({
    read: () => undefined,
    write(_chunk, _encoding, done) {
      done();
    },
  });
  const hands = new HandShake(parseUri('ws://a/'), transport);
  await hands.shake();
  const result = hands.shakeResult();

  transport.push('HTTP/1.1 101 x\r');
  await new Promise(setImmediate);
  transport.push('y');

  await expect(result).rejects.toMatchObject({ code: 'ERR_HANDSHAKE_RESPONSE' });
  transport.destroy();
}, 5000);

test('a reason phrase without end is not all of the error message', async () => {
  const error = await fault((socket) =>
    socket.end(`HTTP/1.1 403 ${'x'.repeat(10_000)}\r\nContent-Length: 0\r\n\r\n`),
  );

  expect(error).toMatchObject({ code: 'ERR_HANDSHAKE_STATUS', status: 403 });
  expect(error.message.length).toBeLessThan(200);
});

test.each(['Sec-WebSocket-Protocol', 'Sec-WebSocket-Extensions', 'Sec-WebSocket-Accept'])(
  'bytes 0x80-0xff in %s fail, and crash nothing',
  async (name) => {
    const bytes = Buffer.from(Array.from({ length: 128 }, (_, i) => 0x80 + i));
    const error = await fault(
      (socket, head) =>
        socket.write(
          Buffer.concat([
            Buffer.from(acceptance(head).slice(0, -2)),
            Buffer.from(`${name}: `),
            bytes,
            Buffer.from('\r\n\r\n'),
          ]),
        ),
      { protocols: ['a'] },
    );

    expect(error.status).toBe(101);
  },
);

describe('limits', () => {
  const fieldsOf = (count: number): string[] =>
    Array.from({ length: count }, (_, i) => `X-${i}: y`);

  test.each([
    ['a status line', 'HTTP/1.1 101 '],
    ['a field', 'HTTP/1.1 101 x\r\nX-A: '],
  ])('%s that never ends fails at 64 KiB', async (_what, start) => {
    const error = await fault((socket) => {
      socket.write(start);
      socket.write('a'.repeat(70_000));
    });

    expect(error.code).toBe('ERR_HANDSHAKE_LIMIT');
    expect(error.message).toMatch(/65536.*maxHeadBytes/);
  });

  test('fields without end fail at the limits', async () => {
    const error = await fault((socket) => {
      socket.write('HTTP/1.1 101 x\r\n');
      socket.write('X-Again: and again\r\n'.repeat(5000));
    });

    expect(error.code).toBe('ERR_HANDSHAKE_LIMIT');
  });

  test('interim responses without end fail at 64 KiB', async () => {
    const error = await fault((socket) => {
      socket.write('HTTP/1.1 100 Continue\r\n\r\n'.repeat(5000));
    });

    expect(error.code).toBe('ERR_HANDSHAKE_LIMIT');
  });

  test('256 fields pass, 257 fail', async () => {
    const server = await RawServer.listen(async (socket) => {
      socket.write(accepting(await readHead(socket), ...fieldsOf(253)));
    });
    const aws = await AioWebSocket.connect(server.url);
    expect(aws.response?.rawHeaders).toHaveLength(256);
    aws.terminate();
    await aws.closed;

    const error = await fault((socket, head) => socket.write(accepting(head, ...fieldsOf(254))));

    expect(error).toMatchObject({ code: 'ERR_HANDSHAKE_LIMIT', status: 101 });
    expect(error.message).toMatch(/256.*maxHeadFields/);
  });

  test('maxHeadFields and maxHeadBytes hold at, and one over', async () => {
    let length = 0;
    const server = await RawServer.listen(async (socket) => {
      const answer = acceptance(await readHead(socket));
      length = answer.length;
      socket.write(answer);
    });
    const open = async (options: AioWebSocketOptions): Promise<void> => {
      const aws = await AioWebSocket.connect(server.url, options);
      aws.terminate();
      await aws.closed;
    };
    await open({ maxHeadFields: 3 });
    await open({ maxHeadBytes: length });

    for (const options of [{ maxHeadFields: 2 }, { maxHeadBytes: length - 1 }]) {
      const error = await failure(new AioWebSocket(server.url, options), HandShakeError);
      expect(error.code).toBe('ERR_HANDSHAKE_LIMIT');
    }
  });

  test('bytes behind the head do not count', async () => {
    const server = await RawServer.listen(async (socket) => {
      const head = acceptance(await readHead(socket));
      const frame = Buffer.concat([Buffer.from('827e2710', 'hex'), Buffer.alloc(10_000)]);
      socket.write(Buffer.concat([Buffer.from(head), frame]));
    });
    const aws = await AioWebSocket.connect(server.url, { maxHeadBytes: 200 });

    await expect(aws.manipulator.receive()).resolves.toHaveLength(10_000);

    aws.terminate();
    await aws.closed;
  });
});
