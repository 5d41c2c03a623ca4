/** pause() and resume(). */
import { Converse, type AioWebSocket } from 'aiowebsocket';
import { MemoryTransport } from './helpers/duplex.js';
import { readFrames } from './helpers/frames.js';
import {
  client,
  close,
  eventually,
  listen,
  open,
  Opcode,
  ping,
  queued,
  text,
  type Pair,
} from './helpers/peer.js';

/** Turns enough for anything that is on its way to arrive. */
async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise(setImmediate);
}

test.each(['aws', 'converse'] as const)(
  'while %s is paused nothing is told, and after resume() everything is, in order',
  async (which) => {
    const pair = await open();
    const { aws, peer } = pair;
    const seen: unknown[] = [];
    aws.on('message', (data) => seen.push(data));
    pair[which].pause();

    peer.send(text('one'), ping('p'), text('two'));
    await turns();
    expect(seen).toEqual([]);
    expect(peer.frames).toEqual([]);

    pair[which].resume();
    await eventually(pair, () => seen.length === 2);
    expect(seen).toEqual(['one', 'two']);
    expect((await peer.next()).opcode).toBe(Opcode.pong);
  },
);

/** What is shown to a listener that pauses behind each message. */
function pausedBehindEach(aws: AioWebSocket): unknown[] {
  const seen: unknown[] = [];
  aws.on('message', (data) => {
    seen.push(data);
    aws.pause();
  });
  return seen;
}

test('pause() within a message listener stops at that message, in the middle of a chunk', async () => {
  const pair = await open();
  const { aws, converse, peer } = pair;
  const seen = pausedBehindEach(aws);

  peer.send(text('one'), text('two'), text('three'));
  for (const expected of [['one'], ['one', 'two'], ['one', 'two', 'three']]) {
    await eventually(pair, () => seen.length === expected.length);
    await turns();
    expect(seen).toEqual(expected);
    expect(converse.queueSize).toBe(expected.length);
    aws.resume();
  }
});

test('pause() and resume() in one turn, any number of times, lose and double nothing', async () => {
  const pair = await open();
  const { aws, peer } = pair;
  const seen: unknown[] = [];
  aws.on('message', (data) => {
    seen.push(data);
    aws.pause();
    aws.resume();
    aws.pause();
    aws.resume();
  });

  peer.send(...Array.from({ length: 50 }, (_, i) => text(`m${i}`)));
  await eventually(pair, () => seen.length === 50);
  await turns();

  expect(seen).toEqual(Array.from({ length: 50 }, (_, i) => `m${i}`));
});

test('resume() and pause() in one turn show nothing of what has been read already', async () => {
  const pair = await open();
  const { aws, peer } = pair;
  const seen = pausedBehindEach(aws);
  peer.send(text('one'), text('two'));
  await eventually(pair, () => seen.length === 1);
  await turns();

  aws.resume();
  aws.pause();
  await turns();
  expect(seen).toEqual(['one']);

  aws.resume();
  await eventually(pair, () => seen.length === 2);
});

test('pause() before reading has started holds back what is glued to the 101', async () => {
  const server = await listen({ glued: text('glued') });
  const aws = client(server.uri);
  await aws.createConnection();
  const seen: unknown[] = [];
  aws.on('message', (data) => seen.push(data));
  aws.pause();
  const peer = await server.accept();
  peer.send(text('later'));

  await turns();
  expect(seen).toEqual([]);
  aws.resume();
  await eventually({ converse: aws.converse }, () => seen.length === 2);

  expect(seen).toEqual(['glued', 'later']);
});

test('a paused connection feels like one that does not read to the server', async () => {
  const { aws, converse, peer } = await open();
  aws.pause();
  const chunk = text('x'.repeat(1_000_000));
  let taken = 0;
  for (let i = 0; i < 40; i++) peer.socket.write(chunk, () => taken++);
  let before = -1;
  while (before !== taken) {
    before = taken;
    await turns();
  }
  expect(taken).toBeLessThan(40);

  aws.resume();
  for (let i = 0; i < 40; i++) expect(await converse.receive()).toHaveLength(1_000_000);
});

test('what is sent goes out while reading is paused', async () => {
  const { aws, converse, peer } = await open();
  aws.pause();

  await converse.send('hello');

  expect((await peer.next()).payload.toString()).toBe('hello');
});

test('resume() does not read into a full queue', async () => {
  const pair = await open({ maxQueue: 2 });
  const { aws, converse, peer } = pair;
  peer.send(text('one'), text('two'), text('three'));
  await eventually(pair, () => converse.queueSize === 2);

  aws.pause();
  aws.resume();
  await turns();

  expect(converse.queueSize).toBe(2);
  expect([await converse.receive(), await converse.receive(), await converse.receive()]).toEqual([
    'one',
    'two',
    'three',
  ]);
});

test('closing resumes: the answer of the server is read', async () => {
  const { aws, peer } = await open();
  aws.pause();
  peer.send(text('late'));

  const info = await aws.closeConnection();

  expect(info).toMatchObject({ code: 1000, wasClean: true, discarded: 1 });
});

test('closing within a listener that has paused reads what is left of the chunk', async () => {
  const { aws, peer } = await open();
  aws.on('message', () => {
    aws.pause();
    void aws.closeConnection();
  });

  peer.send(text('one'), text('two'), text('three'), close(1000, 'bye'));

  expect(await aws.closed).toMatchObject({ code: 1000, reason: 'bye', discarded: 2 });
});

test('terminate() within a listener that has paused tells nothing more', async () => {
  const { aws, peer } = await open();
  const seen: unknown[] = [];
  aws.on('message', (data) => {
    seen.push(data);
    aws.pause();
    aws.terminate();
  });

  peer.send(text('one'), text('two'));
  await aws.closed;
  await turns();

  expect(seen).toEqual(['one']);
});

test('pause() and resume() after the end do nothing', async () => {
  const { aws } = await open();
  await aws.closeConnection();

  aws.pause();
  aws.resume();
  await turns();

  expect(aws.transport?.destroyed).toBe(true);
});

test('a broken frame that waited behind pause() fails the connection when it is read', async () => {
  const { aws, converse, peer } = await open();
  const errors: Error[] = [];
  aws.on('error', (error) => errors.push(error));
  const seen = pausedBehindEach(aws);

  peer.send(text('one'), Buffer.from('8300', 'hex'));
  await eventually({ converse }, () => seen.length === 1);
  await turns();
  expect(errors).toEqual([]);
  converse.resume();

  const { payload } = await peer.closeFrame();
  expect(payload.readUInt16BE()).toBe(1002);
  await aws.closed;
  expect(errors).toMatchObject([{ code: 'ERR_FRAME_PROTOCOL' }]);
});

describe('pause() in a listener that is shown what came before it', () => {
  /** Three messages have come; the listener has been shown the first, and has paused. */
  async function pausedInBacklog(): Promise<{ pair: Pair; seen: unknown[] }> {
    const pair = await open();
    pair.peer.send(text('one'), text('two'), text('three'));
    await queued(pair, 3);
    const seen = pausedBehindEach(pair.aws);
    await turns();
    expect(seen).toEqual(['one']);
    return { pair, seen };
  }

  /** Reads on until each of these has been shown, one at a time. */
  async function readOn(pair: Pair, seen: () => unknown[], expected: string[]): Promise<void> {
    for (const next of expected) {
      pair.converse.resume();
      await eventually(pair, () => seen().at(-1) === next);
    }
  }

  test('stops behind the message at hand, and resume() shows the rest, in order', async () => {
    const { pair, seen } = await pausedInBacklog();
    const { converse, peer } = pair;
    peer.send(text('four'));
    await turns();
    expect(seen).toEqual(['one']);

    await readOn(pair, () => seen, ['two', 'three', 'four']);

    expect(seen).toEqual(['one', 'two', 'three', 'four']);
    expect(await converse.receive()).toBe('one');
  });

  test('terminate() there ends it as well', async () => {
    const pair = await open();
    const { aws, converse, peer } = pair;
    peer.send(text('one'), text('two'));
    await eventually(pair, () => converse.queueSize === 2);
    const seen: unknown[] = [];
    aws.on('message', (data) => {
      seen.push(data);
      aws.terminate();
    });

    await aws.closed;
    await turns();

    expect(seen).toEqual(['one']);
  });

  test('also where more comes in the same chunk: nothing is lost, doubled or out of order', async () => {
    const pair = await open();
    const { aws, peer } = pair;
    let seen: unknown[] = [];
    // Attached in the middle of a chunk.
    aws.once('ping', () => {
      seen = pausedBehindEach(aws);
    });

    peer.send(text('one'), text('two'), ping('now'), text('three'), text('four'));
    await eventually(pair, () => seen.length === 1);
    await turns();
    expect(seen).toEqual(['one']);

    await readOn(pair, () => seen, ['two', 'three', 'four']);

    expect(seen).toEqual(['one', 'two', 'three', 'four']);
  });

  test('the rest is shown before close, where the connection ends meanwhile', async () => {
    const { pair, seen } = await pausedInBacklog();
    pair.aws.on('close', (code) => seen.push(code));

    await pair.aws.closeConnection();

    expect(seen).toEqual(['one', 'two', 'three', 1000]);
  });

  test('also where what it sent before that was answered within the call', async () => {
    const transport = new MemoryTransport((bytes) => {
      for (const { opcode, payload } of readFrames(bytes)) {
        if (opcode === Opcode.text) transport.push(text(payload));
      }
    });
    const converse = new Converse(transport);
    await turns();
    transport.push(text('one'));
    await turns();
    const seen: unknown[] = [];
    converse.on('message', (data) => {
      seen.push(data);
      if (data !== 'one') return;
      void converse.send('two');
      converse.pause();
    });
    await turns();

    converse.resume();
    await turns();
    transport.push(text('three'));
    await turns();

    expect(seen).toEqual(['one', 'two', 'three']);
    converse.terminate();
  });
});
