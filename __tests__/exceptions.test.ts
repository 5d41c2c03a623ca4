import * as everything from 'aiowebsocket';
import {
  AioWebSocketError,
  ConnectionClosed,
  ConnectionClosedError,
  ConnectionClosedOK,
  ConnectionError,
  FrameError,
  HandShakeError,
  InvalidStateError,
  InvalidURI,
  parseUri,
  StatusCodes,
  TimeoutError,
} from 'aiowebsocket';

const cause = new Error('the reason why');

const ERRORS = [
  ['InvalidURI', new InvalidURI('no', { cause }), 'ERR_INVALID_URI'],
  ['InvalidStateError', new InvalidStateError('no'), 'ERR_INVALID_STATE'],
  ['ConnectionError', new ConnectionError('ERR_DNS', 'no', 'dns', { cause }), 'ERR_DNS'],
  ['TimeoutError', new TimeoutError('no', 'open', 'tls'), 'ERR_TIMEOUT'],
  [
    'HandShakeError',
    new HandShakeError('ERR_HANDSHAKE_STATUS', 'no', { cause }),
    'ERR_HANDSHAKE_STATUS',
  ],
  ['FrameError', new FrameError('ERR_FRAME_UTF8', 'no', 1007, { cause }), 'ERR_FRAME_UTF8'],
  ['ConnectionClosedOK', new ConnectionClosedOK('ERR_CLOSED_OK', 1000, ''), 'ERR_CLOSED_OK'],
  [
    'ConnectionClosedError',
    new ConnectionClosedError('ERR_CLOSED', 1006, '', { cause }),
    'ERR_CLOSED',
  ],
] as const;

test.each(ERRORS)(
  '%s is an AioWebSocketError with a name and a stable code',
  (name, error, code) => {
    expect(error).toBeInstanceOf(AioWebSocketError);
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe(name);
    expect(error.code).toBe(code);
    expect(String(error).startsWith(`${name}: `)).toBe(true);
    expect(error.stack).toContain('exceptions.test');
  },
);

test.each(ERRORS.filter(([, error]) => error.cause !== undefined))(
  '%s keeps its cause',
  (_name, error) => {
    expect(error.cause).toBe(cause);
  },
);

test.each(ERRORS.filter(([, error]) => error.cause === undefined))(
  '%s without a cause has no such property',
  (_name, error) => {
    expect(Object.hasOwn(error, 'cause')).toBe(false);
  },
);

test.each(ERRORS)('%s is exported by its name', (name, error) => {
  expect(error.constructor).toBe(everything[name]);
});

test('both kinds of closed are a ConnectionClosed', () => {
  expect(new ConnectionClosedOK('ERR_CLOSED_OK', 1001, '')).toBeInstanceOf(ConnectionClosed);
  expect(new ConnectionClosedError('ERR_CLOSED', 4000, '')).toBeInstanceOf(ConnectionClosed);
});

test('the network, the answer, the frames and the clock tell how far the connection had come', () => {
  expect(new ConnectionError('ERR_TLS', 'no', 'tls').phase).toBe('tls');
  expect(new TimeoutError('no', 'close', 'closing')).toMatchObject({
    operation: 'close',
    phase: 'closing',
  });
  expect(new HandShakeError('ERR_HANDSHAKE_ACCEPT', 'no').phase).toBe('handshake');
  expect(new FrameError('ERR_FRAME_PROTOCOL', 'no').phase).toBe('open');
});

test('a HandShakeError holds what is known of the response', () => {
  const headers = { server: 'a' };

  const error = new HandShakeError('ERR_HANDSHAKE_STATUS', 'no', { status: 403, headers });

  expect(error).toMatchObject({ status: 403, headers, body: undefined });
});

test('a FrameError is a protocol error to the peer, unless it says otherwise', () => {
  expect(new FrameError('ERR_FRAME_PROTOCOL', 'no').closeCode).toBe(StatusCodes.protocolError);
  expect(new FrameError('ERR_FRAME_TOO_BIG', 'no', 1009).closeCode).toBe(1009);
});

test('a ConnectionClosed says the code, and the reason where there is one', () => {
  const told = new ConnectionClosedError('ERR_CLOSED', 4001, 'token "x" expired');
  const untold = new ConnectionClosedError('ERR_CLOSED', 1006, '');

  expect(told).toMatchObject({ closeCode: 4001, reason: 'token "x" expired' });
  expect(told.message).toBe('the connection is closed: 4001 ("token \\"x\\" expired")');
  expect(untold.message).toMatch(/^the connection is closed: 1006/);
});

test('wrong arguments are native errors with a code, outside the tree', () => {
  let error: unknown;
  try {
    parseUri(5 as never);
  } catch (thrown) {
    error = thrown;
  }

  expect(error).toBeInstanceOf(TypeError);
  expect(error).not.toBeInstanceOf(AioWebSocketError);
  expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
});
