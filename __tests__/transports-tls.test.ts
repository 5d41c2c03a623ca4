/** TLS: verified by default, and never left out. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { TLSSocket, type PeerCertificate } from 'node:tls';
import { AioWebSocket, ConnectionError, type AioWebSocketOptions } from 'aiowebsocket';
import { text } from './helpers/frames.js';
import { failure } from './helpers/opening.js';
import { closeServers, RawServer, shakeHands } from './helpers/raw-server.js';
import { makeCertificate } from './helpers/tls.js';

const authority = makeCertificate('Test Authority', { isAuthority: true });
const localhost = makeCertificate('localhost', {
  issuer: authority,
  names: ['localhost', '127.0.0.1'],
});
const elsewhere = makeCertificate('elsewhere', { issuer: authority, names: ['example.com'] });
const selfSigned = makeCertificate('localhost', { names: ['localhost', '127.0.0.1'] });
const expired = makeCertificate('localhost', {
  issuer: authority,
  names: ['localhost', '127.0.0.1'],
  until: '210101',
});
const client = makeCertificate('a client', { issuer: authority });
const ca = authority.cert;

/** What a server knows of TLS on a connection. */
interface Secured {
  readonly servername: string | false;
  readonly alpnProtocol: string | false;
  getPeerCertificate: () => PeerCertificate;
}

const secured = (socket: Socket): Secured => socket as Socket & Secured;

afterEach(closeServers);

const serve = async (socket: Socket): Promise<void> => {
  await shakeHands(socket);
  socket.write(text('secret'));
};

const secure = (
  certificate = localhost,
  options: object = {},
  onConnection: (socket: Socket) => unknown = serve,
): Promise<RawServer> =>
  RawServer.listen(onConnection, {
    tls: { cert: certificate.cert, key: certificate.key, ...options },
  });

/** Opens, receives, ends. */
async function talk(uri: string, options: AioWebSocketOptions): Promise<AioWebSocket> {
  const aws = await AioWebSocket.connect(uri, options);
  await expect(aws.manipulator.receive()).resolves.toBe('secret');
  expect(aws.transport).toBeInstanceOf(TLSSocket);
  aws.terminate();
  await aws.closed;
  return aws;
}

async function refused(server: RawServer, options?: AioWebSocketOptions): Promise<ConnectionError> {
  const aws = new AioWebSocket(`wss://127.0.0.1:${server.port}/`, options);
  const error = await failure(aws, ConnectionError);
  await server.emptied();
  expect(error).toMatchObject({ code: 'ERR_TLS', phase: 'tls' });
  expect(error.message).toContain(`127.0.0.1:${server.port}`);
  return error;
}

test('a certificate of an authority given as ca is accepted, for an address and for a name', async () => {
  const server = await secure();

  await talk(`wss://127.0.0.1:${server.port}/`, { ssl: { ca } });
  await talk(`wss://localhost:${server.port}/`, { ssl: { ca } });
});

test('an authority that nobody vouches for is refused by default', async () => {
  const server = await secure();

  for (const options of [undefined, {}, { ssl: true }, { ssl: {} }]) {
    const error = await refused(server, options);
    expect(error.cause).toMatchObject({ code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
  }
});

test.each([
  ['for another host', elsewhere, 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ['that is self-signed', selfSigned, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  ['that has expired', expired, 'CERT_HAS_EXPIRED'],
])('a certificate %s is refused', async (_what, certificate, code) => {
  const requests: Socket[] = [];
  const server = await secure(certificate, {}, (socket) => requests.push(socket));

  const error = await refused(server, { ssl: { ca } });

  expect(error.cause).toMatchObject({ code });
  expect(error.message.length).toBeGreaterThan(40);
});

test('a self-signed certificate that is given as ca is accepted', async () => {
  const server = await secure(selfSigned);

  await talk(`wss://127.0.0.1:${server.port}/`, { ssl: { ca: selfSigned.cert } });
});

test.each([
  ['that is self-signed', selfSigned],
  ['for another host', elsewhere],
  ['that has expired', expired],
])('rejectUnauthorized: false accepts a certificate %s', async (_what, certificate) => {
  const server = await secure(certificate);

  const aws = await talk(`wss://127.0.0.1:${server.port}/`, { ssl: { rejectUnauthorized: false } });

  expect(aws.state).toBe(3);
});

test('servername is asked for, and verified in place of the host', async () => {
  const asked: unknown[] = [];
  const server = await secure(elsewhere, {}, (socket) => {
    asked.push(secured(socket).servername);
    return serve(socket);
  });

  await talk(`wss://127.0.0.1:${server.port}/`, { ssl: { ca, servername: 'example.com' } });

  expect(asked).toEqual(['example.com']);
});

test('the server name is the host, and none for an address', async () => {
  const asked: unknown[] = [];
  const server = await secure(localhost, {}, (socket) => {
    asked.push(secured(socket).servername);
    return serve(socket);
  });

  await talk(`wss://localhost:${server.port}/`, { ssl: { ca } });
  await talk(`wss://127.0.0.1:${server.port}/`, { ssl: { ca } });

  expect(asked).toEqual(['localhost', false]);
});

test('HTTP/1.1 is what is negotiated', async () => {
  const chosen: unknown[] = [];
  const server = await secure(localhost, { ALPNProtocols: ['h2', 'http/1.1'] }, (socket) => {
    chosen.push(secured(socket).alpnProtocol);
    return serve(socket);
  });

  await talk(`wss://127.0.0.1:${server.port}/`, { ssl: { ca } });

  expect(chosen).toEqual(['http/1.1']);
});

test('cert and key are shown to a server that asks for them', async () => {
  const names: unknown[] = [];
  const server = await secure(localhost, { ca, requestCert: true }, (socket) => {
    names.push(secured(socket).getPeerCertificate().subject.CN);
    return serve(socket);
  });

  await talk(`wss://127.0.0.1:${server.port}/`, {
    ssl: { ca, cert: client.cert, key: client.key },
  });

  expect(names).toEqual(['a client']);
});

test('a server that asks for a certificate in vain is told as a fault of TLS, whatever its version', async () => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const server = await secure(localhost, { ca, requestCert: true, maxVersion });

    const aws = new AioWebSocket(`wss://127.0.0.1:${server.port}/`, { ssl: { ca } });

    expect(await failure(aws, ConnectionError)).toMatchObject({ code: 'ERR_TLS' });
  }
});

test('a certificate is judged before a byte of the request goes out', async () => {
  const bytes: Buffer[] = [];
  const server = await secure(selfSigned, {}, (socket) => {
    socket.on('data', (chunk) => bytes.push(chunk));
  });

  await refused(server);

  expect(bytes).toEqual([]);
});

test.each([
  ['that answers HTTP', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
  ['that answers nonsense', '\x00\x01\x02'.repeat(10)],
])(
  'wss to a plain port %s fails in phase tls, and nothing goes out in plain text',
  async (_w, answer) => {
    const received: Buffer[] = [];
    const server = await RawServer.listen((socket) => {
      socket.on('data', (chunk) => {
        received.push(chunk);
        socket.end(answer);
      });
    });

    await refused(server);

    expect(Buffer.concat(received)[0]).toBe(0x16);
    expect(Buffer.concat(received).includes('GET')).toBe(false);
  },
);

test('ws to a TLS port fails in phase handshake', async () => {
  const server = await secure();
  const aws = new AioWebSocket(server.url);

  await expect(failure(aws, Error)).resolves.toMatchObject({ phase: 'handshake' });
});

test.each([['false', false]])(
  'ssl: %s with wss is a TypeError: it never goes out in plain text',
  (_shown, ssl) => {
    expect(() => new AioWebSocket('wss://127.0.0.1/', { ssl })).toThrow(
      expect.objectContaining({
        name: 'TypeError',
        message: expect.stringMatching(/\bssl\b.*wss/),
      }),
    );
  },
);

test.each([
  ['true', true],
  ['an object', { ca }],
  ['an empty object', {}],
])('ssl: %s with ws is a TypeError: it would not be encrypted', (_shown, ssl) => {
  expect(() => new AioWebSocket('ws://127.0.0.1/', { ssl })).toThrow(
    expect.objectContaining({ name: 'TypeError', message: expect.stringMatching(/\bssl\b.*ws\b/) }),
  );
});

test('ssl: false and undefined are fine with ws, true and undefined with wss', () => {
  expect(new AioWebSocket('ws://a/', { ssl: false }).remote.ssl).toBe(false);
  expect(new AioWebSocket('ws://a/', { ssl: undefined }).remote.ssl).toBe(false);
  expect(new AioWebSocket('wss://a/', { ssl: true }).remote.ssl).toBe(true);
  expect(new AioWebSocket('wss://a/', { ssl: undefined }).remote.ssl).toBe(true);
});

test.each([
  ['a cipher that there is not', { ciphers: 'NONSENSE' }],
  ['a version that there is not', { minVersion: 'TLSv9' }],
  ['a key that does not fit', { cert: localhost.cert, key: client.key }],
])('TLS options that cannot be used, as %s, fail with ERR_TLS', async (_what, ssl) => {
  const server = await secure();
  const aws = new AioWebSocket(`wss://127.0.0.1:${server.port}/`, { ssl: ssl as never });

  const error = await failure(aws, Error);

  expect(error).toMatchObject({ name: 'ConnectionError', code: 'ERR_TLS', phase: 'tls' });
});

test('a server that demands another version fails in phase tls', async () => {
  const server = await secure(localhost, { minVersion: 'TLSv1.3' });

  const error = await refused(server, { ssl: { ca, maxVersion: 'TLSv1.2' } });

  expect(error.message).toMatch(/alert|version/);
});

test('ssl options are not changed', async () => {
  const server = await secure();
  const ssl = Object.freeze({ ca });

  await talk(`wss://127.0.0.1:${server.port}/`, { ssl });

  expect(ssl).toEqual({ ca });
});

test('large messages come and go as they are', async () => {
  const server = await secure(localhost, {}, async (socket) => {
    await shakeHands(socket);
    const message = Buffer.alloc(300_000, 'x');
    socket.write(text(message));
    let bytes = 0;
    socket.resume().on('data', (chunk) => {
      bytes += chunk.length;
      if (bytes >= 300_014) socket.write(text('got it'));
    });
  });
  const aws = await AioWebSocket.connect(`wss://127.0.0.1:${server.port}/`, { ssl: { ca } });

  const received = await aws.manipulator.receive();
  await aws.manipulator.send(received);
  await expect(aws.manipulator.receive()).resolves.toBe('got it');

  expect(received).toBe('x'.repeat(300_000));
  const gone = once(aws.transport!, 'close');
  aws.terminate();
  await gone;
});

test('a path among the TLS options does not take the place of the host', async () => {
  const server = await RawServer.listen((socket) => shakeHands(socket), { tls: localhost });
  const ssl = { ca, path: '/nowhere/socket' } as object;

  const aws = await new AioWebSocket(`wss://localhost:${server.port}/`, { ssl }).createConnection();

  expect(aws.remoteAddress?.port).toBe(server.port);
  aws.terminate();
  await aws.closed;
});
