/** Events: which there are, in which order, and that none is missed. */
import { ConnectionClosedOK, SocketState, type AioWebSocket, type Converse } from 'aiowebsocket';
import { binary, client, close, listen, open, Opcode, ping, pong, text } from './helpers/peer.js';

/** What is emitted, in order, as short lines. */
function record(emitter: AioWebSocket | Converse, lines: string[] = []): string[] {
  const on = emitter.on.bind(emitter) as AioWebSocket['on'];
  on('open', () => lines.push('open'));
  on('handshake', ({ status }) => lines.push(`handshake ${status}`));
  on('state', (state, previous) => {
    lines.push(`state ${SocketState[previous]} ${SocketState[state]}`);
  });
  on('message', (data, isBinary) =>
    lines.push(`${isBinary ? 'binary' : 'text'} ${data.toString()}`),
  );
  on('ping', (payload) => lines.push(`ping ${payload.toString()}`));
  on('pong', (payload, latency) => lines.push(`pong ${payload.toString()} ${typeof latency}`));
  on('drain', () => lines.push('drain'));
  on('error', ({ name }) => lines.push(`error ${name}`));
  on('close', (code, reason) => lines.push(`close ${code} ${reason}`));
  return lines;
}

test('a whole connection is told in order, up to one close', async () => {
  const server = await listen();
  const aws = client(server.uri);
  const told = record(aws);

  const [peer] = await Promise.all([server.accept(), aws.createConnection()]);
  peer.send(text('one'), ping('p'), binary('two'), pong('unasked'), close(1000, 'bye'));
  await aws.closed;

  expect(told).toEqual([
    'state zero connecting',
    'handshake 101',
    'state connecting opened',
    'open',
    'text one',
    'ping p',
    'binary two',
    'pong unasked undefined',
    'state opened closing',
    'state closing closed',
    'close 1000 bye',
  ]);
});

test('Converse tells the same from its opening on', async () => {
  const { aws, converse, peer } = await open();
  const told = record(converse);

  peer.send(text('one'), ping('p'), close(1001));
  await aws.closed;

  expect(told).toEqual([
    'text one',
    'ping p',
    'state opened closing',
    'state closing closed',
    'close 1001 ',
  ]);
});

test('listeners of both see each message once', async () => {
  const { aws, converse, peer } = await open();
  const told: string[] = [];
  aws.on('message', (data) => told.push(`aws ${data.toString()}`));
  converse.on('message', (data) => told.push(`converse ${data.toString()}`));

  peer.send(text('one'), text('two'), close(1000));
  await aws.closed;

  expect(told.sort()).toEqual(['aws one', 'aws two', 'converse one', 'converse two']);
});

test('text comes as a string, binary as a Buffer, with isBinary', async () => {
  const { aws, peer } = await open();
  const told: unknown[] = [];
  aws.on('message', (data, isBinary) => told.push([data, isBinary]));

  peer.send(text('grüße 👋'), binary(Buffer.from([0, 255])), text(''), binary(''), close(1000));
  await aws.closed;

  expect(told).toEqual([
    ['grüße 👋', false],
    [Buffer.from([0, 255]), true],
    ['', false],
    [Buffer.alloc(0), true],
  ]);
});

describe('listeners attached right after createConnection()', () => {
  test.each(['aws', 'converse'] as const)(
    'miss nothing of what is glued to the 101: message, Close, FIN (%s)',
    async (which) => {
      const glued = Buffer.concat([text('greeting'), ping('p'), close(1000, 'bye')]);
      const server = await listen({ glued, fin: true });
      const aws = client(server.uri);
      await aws.createConnection();
      const told = record(which === 'aws' ? aws : aws.converse);

      expect(told).toEqual([]);
      await aws.closed;

      expect(told).toEqual([
        ...['text greeting', 'ping p', 'state opened closing', 'state closing closed'],
        'close 1000 bye',
      ]);
    },
  );

  test('see all glued messages, in order, and receive() gets them too', async () => {
    const messages = Array.from({ length: 100 }, (_, i) => `m${i}`);
    const server = await listen({ glued: Buffer.concat(messages.map((one) => text(one))) });
    const aws = client(server.uri);
    await aws.createConnection();
    const seen: unknown[] = [];
    aws.on('message', (data) => seen.push(data));

    const received: unknown[] = [];
    for (const _ of messages) received.push(await aws.manipulator.receive());

    expect(received).toEqual(messages);
    expect(seen).toEqual(messages);
  });

  test('attached before it, they see glued messages only after open', async () => {
    const server = await listen({ glued: text('greeting') });
    const aws = client(server.uri);
    const told: string[] = [];
    aws.on('open', () => told.push('open'));
    const seen = new Promise((resolve) => {
      aws.on('message', (data) => {
        told.push(`message ${data.toString()}`);
        resolve(data);
      });
    });
    await aws.createConnection();
    told.push('connected');
    await seen;

    expect(told).toEqual(['open', 'connected', 'message greeting']);
  });

  test('a glued Close alone rejects receive() without a message', async () => {
    const server = await listen({ glued: close(1000), fin: true });
    const aws = client(server.uri);
    await aws.createConnection();

    await expect(aws.manipulator.receive()).rejects.toBeInstanceOf(ConnectionClosedOK);
  });

  test('a FIN glued to the 101 without a Close is an error, told after open', async () => {
    const server = await listen({ fin: true });
    const aws = client(server.uri);
    await aws.createConnection();
    const told = record(aws);
    await aws.closed;

    expect(told).toEqual([
      'state opened closing',
      'error ConnectionError',
      'state closing closed',
      'close 1006 ',
    ]);
  });
});

test('a state listener sees the new state in place', async () => {
  const server = await listen();
  const aws = client(server.uri);
  const seen: boolean[] = [];
  aws.on('state', (state) => seen.push(aws.state === state));

  await aws.createConnection();
  await aws.closeConnection();

  expect(seen).toEqual([true, true, true, true]);
});

test('close comes before closeConnection() resolves, and closed gives the same info', async () => {
  const { aws } = await open();
  const told: string[] = [];
  let info: unknown;
  aws.on('close', (_code, _reason, given) => {
    info = given;
    told.push('event');
  });

  const result = await aws.closeConnection();
  told.push('resolved');

  expect(told).toEqual(['event', 'resolved']);
  expect(result).toBe(info);
  expect(await aws.closed).toBe(info);
  expect(await aws.converse.closed).toBe(info);
});

test('a listener that is taken off is not called again', async () => {
  const { aws, converse, peer } = await open();
  const seen: string[] = [];
  const listener = (data: string | Buffer): void => {
    seen.push(data.toString());
    aws.off('message', listener);
  };
  aws.on('message', listener);

  peer.send(text('one'), text('two'));
  await converse.receive();
  await converse.receive();

  expect(seen).toEqual(['one']);
});

test('once() tells one message, and later ones go on to receive()', async () => {
  const { aws, converse, peer } = await open();
  const seen: unknown[] = [];
  aws.once('message', (data) => seen.push(data));

  peer.send(text('one'), text('two'), text('three'));

  expect([await converse.receive(), await converse.receive(), await converse.receive()]).toEqual([
    'one',
    'two',
    'three',
  ]);
  expect(seen).toEqual(['one']);
});

test('a ping is answered before its event, which may send too', async () => {
  const { aws, converse, peer } = await open();
  aws.on('ping', () => void converse.send('after'));

  peer.send(ping('p'));
  await peer.until(() => peer.frames.length === 2);

  expect(peer.frames.map(({ opcode }) => opcode)).toEqual([Opcode.pong, Opcode.text]);
});

test('events go on while a message listener closes the connection', async () => {
  const { aws, converse, peer } = await open();
  const seen: unknown[] = [];
  aws.on('message', (data) => {
    seen.push(data);
    void converse.close();
  });

  peer.send(text('one'), text('two'));
  const info = await aws.closed;

  expect(seen).toEqual(['one']);
  expect(info).toMatchObject({ code: 1000, discarded: 1, wasClean: true });
});
