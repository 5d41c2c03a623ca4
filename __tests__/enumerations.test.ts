import {
  ControlFrames,
  DataFrames,
  describeStatus,
  isCloseCode,
  SocketState,
  StatusCodes,
  statusName,
} from 'aiowebsocket';

test('the states have the numbers of the original, and only grow in a life', () => {
  expect([
    SocketState.zero,
    SocketState.connecting,
    SocketState.opened,
    SocketState.closing,
    SocketState.closed,
  ]).toEqual([-1, 0, 1, 2, 3]);
  expect(SocketState[SocketState.zero]).toBe('zero');
});

test('the opcodes are those of RFC 6455 section 5.2', () => {
  expect([DataFrames.cont, DataFrames.text, DataFrames.binary]).toEqual([0x0, 0x1, 0x2]);
  expect([ControlFrames.close, ControlFrames.ping, ControlFrames.pong]).toEqual([0x8, 0x9, 0xa]);
});

test.each([
  [1000, 'CLOSE_NORMAL', 'normal closure', StatusCodes.normal],
  [1001, 'CLOSE_GOING_AWAY', 'the endpoint is going away', StatusCodes.goingAway],
  [1002, 'CLOSE_PROTOCOL_ERROR', 'protocol error', StatusCodes.protocolError],
  [
    1003,
    'CLOSE_UNSUPPORTED',
    'a type of data that cannot be accepted',
    StatusCodes.unsupportedData,
  ],
  [1004, 'RESERVED', 'reserved', StatusCodes.reserved],
  [1005, 'CLOSE_NO_STATUS', 'no status code in the Close frame', StatusCodes.noStatus],
  [1006, 'CLOSE_ABNORMAL', 'the connection ended without a Close frame', StatusCodes.abnormal],
  [
    1007,
    'UNSUPPORTED_DATA',
    'payload data that contradict the message type',
    StatusCodes.invalidPayload,
  ],
  [1008, 'POLICY_VIOLATION', 'policy violation', StatusCodes.policyViolation],
  [1009, 'CLOSE_TOO_LARGE', 'message too big', StatusCodes.messageTooBig],
  [
    1010,
    'MISSING_EXTENSION',
    'a required extension was not negotiated',
    StatusCodes.missingExtension,
  ],
  [1011, 'INTERNAL_ERROR', 'unexpected condition', StatusCodes.internalError],
  [1012, 'SERVICE_RESTART', 'service restart', StatusCodes.serviceRestart],
  [1013, 'TRY_AGAIN_LATER', 'try again later', StatusCodes.tryAgainLater],
  [1014, 'BAD_GATEWAY', 'bad gateway', StatusCodes.badGateway],
  [1015, 'TLS_HANDSHAKE', 'TLS handshake failed', StatusCodes.tlsHandshake],
])('%i is %s', (code, name, text, member) => {
  expect(member).toBe(code);
  expect(statusName(code)).toBe(name);
  expect(describeStatus(code)).toBe(text);
});

test.each([
  [0, 'NOT_USED', 'not used'],
  [999, 'NOT_USED', 'not used'],
  [1016, 'PROTOCOL', 'reserved for the protocol and its extensions'],
  [2999, 'PROTOCOL', 'reserved for the protocol and its extensions'],
  [3000, 'REGISTERED', 'registered by a library, framework or application'],
  [3999, 'REGISTERED', 'registered by a library, framework or application'],
  [4000, 'PRIVATE', 'private use'],
  [4999, 'PRIVATE', 'private use'],
  [5000, 'UNKNOWN', 'out of range'],
  [-1, 'UNKNOWN', 'out of range'],
  [Number.NaN, 'UNKNOWN', 'out of range'],
])('%i, which has no name of its own, is told by its range: %s', (code, name, text) => {
  expect(statusName(code)).toBe(name);
  expect(describeStatus(code)).toBe(text);
});

test('a Close frame may carry 1000-1003, 1007-1014, 3000-4999, and nothing else', () => {
  const allowed = Array.from({ length: 65_536 }, (_, code) => code).filter(isCloseCode);

  const expected = [
    ...[1000, 1001, 1002, 1003],
    ...[1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014],
    ...Array.from({ length: 2000 }, (_, i) => 3000 + i),
  ];
  expect(allowed).toEqual(expected);
});

test.each([1000.5, -1000, Number.NaN, Infinity])('%d is no close code', (code) => {
  expect(isCloseCode(code)).toBe(false);
});
