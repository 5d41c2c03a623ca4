/** Answers that are no 101: what the server had to say is kept, within limits. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { inspect } from 'node:util';
import { AioWebSocket, HandShakeError } from 'aiowebsocket';
import { failure, givenUp } from './helpers/opening.js';
import { acceptance, closeServers, RawServer, readHead } from './helpers/raw-server.js';

afterEach(closeServers);

const head = (status: string, ...fields: string[]): string =>
  [`HTTP/1.1 ${status}`, ...fields, '', ''].join('\r\n');

/** Connects to a server that answers so, and gives the error. */
async function refusal(answer: (socket: Socket) => unknown): Promise<HandShakeError> {
  const server = await RawServer.listen(async (socket) => {
    await readHead(socket);
    await answer(socket);
  });
  const error = await failure(new AioWebSocket(server.url), HandShakeError);
  await server.emptied();
  expect(error).toMatchObject({ code: 'ERR_HANDSHAKE_STATUS', phase: 'handshake' });
  return error;
}

test.each([
  [200, 'OK'],
  [204, 'No Content'],
  [301, 'Moved Permanently'],
  [400, 'Bad Request'],
  [401, 'Unauthorized'],
  [403, 'Forbidden'],
  [404, 'Not Found'],
  [426, 'Upgrade Required'],
  [429, 'Too Many Requests'],
  [500, 'Internal Server Error'],
  [503, 'Service Unavailable'],
  [599, ''],
])('%i fails with the status, and its message tells it', async (status, statusText) => {
  const error = await refusal((socket) =>
    socket.end(head(`${status} ${statusText}`, 'Content-Length: 0', 'X-Why: so')),
  );

  expect(error.status).toBe(status);
  expect(error.headers).toMatchObject({ 'x-why': 'so' });
  expect(error.body).toHaveLength(0);
  expect(error.message).toContain(`HTTP ${status} ${statusText}`.trim());
});

test('HTTP/1.0 can refuse as well: what knows no upgrade says so', async () => {
  const error = await refusal((socket) =>
    socket.end('HTTP/1.0 404 File not found\r\nServer: old\r\n\r\nnothing here'),
  );

  expect(error).toMatchObject({ status: 404, headers: { server: 'old' } });
  expect(error.body?.toString()).toBe('nothing here');
});

test('HTTP/1.0 cannot accept', async () => {
  const server = await RawServer.listen(async (socket) => {
    socket.end(acceptance(await readHead(socket), {}, 'HTTP/1.0 101 Switching Protocols'));
  });

  const error = await failure(new AioWebSocket(server.url), HandShakeError);

  expect(error).toMatchObject({ code: 'ERR_HANDSHAKE_RESPONSE', status: undefined });
});

test.each([
  ['another host', 'ws://other.example/'],
  ['the same host', '/elsewhere'],
])('a redirect to %s is not followed', async (_what, location) => {
  const connections: Socket[] = [];
  const error = await refusal((socket) => {
    connections.push(socket);
    socket.end(head('302 Found', `Location: ${location}`, 'Content-Length: 0'));
  });

  expect(error).toMatchObject({ status: 302, headers: { location } });
  expect(connections).toHaveLength(1);
});

test('has the fields of the answer joined, and as they came', async () => {
  const error = await refusal((socket) => {
    socket.end(head('401 Unauthorized', 'Set-Cookie: a=1', 'set-cookie: b=2', 'Content-Length: 0'));
  });

  expect(error.headers).toMatchObject({ 'set-cookie': 'a=1, b=2' });
  expect(error.rawHeaders?.slice(0, 2)).toEqual([
    ['Set-Cookie', 'a=1'],
    ['set-cookie', 'b=2'],
  ]);
  expect(inspect(error)).not.toContain("'set-cookie', 'b=2'");
  expect(new HandShakeError('ERR_HANDSHAKE_STATUS', 'of a user').rawHeaders).toBeUndefined();
});

test('an abort while the body comes is no refusal: its reason is what counts', async () => {
  const server = await RawServer.listen(async (socket) => {
    await readHead(socket);
    socket.write(head('403 Forbidden', 'Content-Length: 100'));
  });
  const aws = new AioWebSocket(server.url);

  const error = await givenUp(aws, async (controller) => {
    while (!aws.hands) await new Promise(setImmediate);
    await new Promise((resolve) => aws.hands?.on('response', resolve));
    await new Promise(setImmediate);
    controller.abort('enough');
  });

  expect(error).toBe('enough');
  await server.emptied();
});

describe('the body', () => {
  test('ends with Content-Length, and the server need not end the connection', async () => {
    const error = await refusal((socket) =>
      socket.write(`${head('403 Forbidden', 'Content-Length: 9')}no tokensurplus`),
    );

    expect(String(error.body)).toBe('no token' + 's');
  });

  test('ends with the last chunk', async () => {
    const error = await refusal((socket) =>
      socket.write(
        `${head('401 Unauthorized', 'Transfer-Encoding: chunked')}4;x=y\r\n{"a"\r\n3\r\n:1}\r\n0\r\n\r\nsurplus`,
      ),
    );

    expect(String(error.body)).toBe('{"a":1}');
  });

  test('in chunks is read octet by octet, too', async () => {
    const bytes = Buffer.from('a\r\n0123456789\r\nF\r\nabcdefghijklmno\r\n0\r\n\r\n');
    const error = await refusal((socket) => {
      socket.write(head('500 Oh', 'transfer-encoding: gzip, Chunked'));
      for (const byte of bytes) socket.write(Buffer.from([byte]));
    });

    expect(String(error.body)).toBe('0123456789abcdefghijklmno');
  });

  test.each([
    ['that are cut off', '5\r\nabc', 'abc'],
    ['whose size is no number', '3\r\nabc\r\nxyz\r\n', 'abc'],
    ['whose size line never ends', `3\r\nabc\r\n${'0'.repeat(5000)}`, 'abc'],
  ])('in chunks %s is kept as far as it goes', async (_what, bytes, body) => {
    const error = await refusal((socket) => {
      socket.end(head('500 Oh', 'Transfer-Encoding: chunked') + bytes);
    });

    expect(String(error.body)).toBe(body);
  });

  test('without a length ends with the connection', async () => {
    const error = await refusal((socket) => {
      socket.write(`${head('404 Not Found')}not `);
      socket.end('here');
    });

    expect(String(error.body)).toBe('not here');
  });

  test('ends with a reset', async () => {
    const error = await refusal(async (socket) => {
      await new Promise<void>((resolve) => {
        socket.write(`${head('500 Oh', 'Content-Length: 1000')}so far`, () => {
          resolve();
        });
      });
      setTimeout(() => socket.resetAndDestroy(), 50);
    });

    expect(error.status).toBe(500);
    expect('so far'.startsWith(String(error.body))).toBe(true);
  });

  test.each([
    ['with a length', ['Content-Length: 1000000']],
    ['without a length', []],
  ])('%s of more than 64 KiB is cut there', async (_what, fields) => {
    const error = await refusal((socket) => {
      socket.write(head('500 Oh', ...fields));
      socket.write(Buffer.alloc(1_000_000, 'a'));
    });

    expect(error.body).toHaveLength(65_536);
  });

  test('in chunks of more than 64 KiB is cut there', async () => {
    const error = await refusal((socket) => {
      socket.write(head('500 Oh', 'Transfer-Encoding: chunked'));
      for (let i = 0; i < 100; i++) socket.write(`3e8\r\n${'a'.repeat(1000)}\r\n`);
    });

    expect(error.body).toHaveLength(65_536);
  });

  test('of 64 KiB and no more is whole', async () => {
    const error = await refusal((socket) => {
      socket.write(head('500 Oh', 'Content-Length: 65536'));
      socket.write(Buffer.alloc(65_536, 'a'));
    });

    expect(error.body).toHaveLength(65_536);
  });

  test('that never ends is waited for 2 seconds, and kept as far as it came', async () => {
    const started = performance.now();
    const error = await refusal((socket) =>
      socket.write(`${head('503 Busy', 'Content-Length: 100')}please wait`),
    );

    expect(String(error.body)).toBe('please wait');
    expect(performance.now() - started).toBeGreaterThan(1900);
  });

  test('that never ends does not hide the status behind the timeout', async () => {
    const server = await RawServer.listen(async (socket) => {
      await readHead(socket);
      socket.write(`${head('503 Busy', 'Content-Length: 100')}please wait`);
    });

    const error = await failure(new AioWebSocket(server.url, { timeout: 400 }), HandShakeError);

    expect(error.status).toBe(503);
    expect(String(error.body)).toBe('please wait');
  });

  test('of 204 and 304 is empty, whatever the length says', async () => {
    for (const status of ['204 No Content', '304 Not Modified']) {
      const error = await refusal((socket) => socket.write(head(status, 'Content-Length: 10')));
      expect(error.body).toHaveLength(0);
    }
  });

  test('is kept when its length makes no sense', async () => {
    const error = await refusal((socket) => {
      socket.end(`${head('500 Oh', 'Content-Length: ten')}body`);
    });

    expect(String(error.body)).toBe('body');
  });
});

test('a body is told after the whole of it came in many turns', async () => {
  const error = await refusal(async (socket) => {
    socket.write(head('500 Oh', 'Content-Length: 30'));
    for (let i = 0; i < 10; i++) {
      if (!socket.write('abc')) await once(socket, 'drain');
      await new Promise((resolve) => setImmediate(resolve));
    }
  });

  expect(String(error.body)).toBe('abc'.repeat(10));
});

test("a chunk's size that does not end is not waited for", async () => {
  const begun = performance.now();

  const error = await refusal((socket) =>
    socket.resume().write(head('404 Not Found', 'Transfer-Encoding: chunked') + '1'.repeat(2000)),
  );

  expect(error.body).toHaveLength(0);
  expect(performance.now() - begun).toBeLessThan(1500);
});
