/** What is kept of messages, and how much of them waits on the way. */
import { AioWebSocket, type Message } from 'aiowebsocket';
import { atEnd } from './helpers/cleanup.js';
import { wsServer } from './helpers/ws-server.js';

/** The message of this number: text or binary, of 0 to 1,200 bytes. */
function sample(index: number): Message {
  const text = `${index} `.repeat(index % 7 === 0 ? index % 170 : index % 23);
  if (index % 3 === 0) return Buffer.from(text);
  return index % 5 === 0 ? `${text}中文` : text;
}

async function connect(uri: string, options = {}): Promise<AioWebSocket> {
  const aws = await AioWebSocket.connect(uri, options);
  atEnd(() => {
    aws.terminate();
  });
  return aws;
}

test('100,000 messages that are kept stay what they were', async () => {
  const count = 100_000;
  const { uri } = await wsServer((socket) => {
    for (let index = 0; index < count; index++) socket.send(sample(index));
  });
  const aws = await connect(uri);
  const kept: Message[] = [];

  await new Promise<void>((resolve) => {
    aws.on('message', (message) => {
      if (kept.push(message) === count) resolve();
    });
  });

  const wrong = kept.findIndex((message, index) => {
    const expected = sample(index);
    return typeof expected === 'string'
      ? message !== expected
      : !Buffer.isBuffer(message) || !message.equals(expected);
  });
  expect(wrong).toBe(-1);
}, 60_000);

test('a sender that awaits keeps no more than the high-water mark and a message waiting', async () => {
  const highWaterMark = 65_536;
  const message = Buffer.alloc(10_000, 'm');
  const count = 2000;
  let received = 0;
  let readOn = (): void => undefined;
  const { uri } = await wsServer((socket) => {
    socket.pause();
    socket.on('message', () => {
      received++;
    });
    readOn = () => {
      socket.resume();
    };
  });
  const aws = await connect(uri, { highWaterMark });
  let most = 0;

  for (let sent = 0; sent < count; sent++) {
    const room = aws.manipulator.send(message);
    most = Math.max(most, aws.bufferedAmount);
    // The kernel takes nothing any more: only now does the server begin to read.
    if (aws.bufferedAmount > highWaterMark) readOn();
    await room;
  }
  await aws.closeConnection();

  expect(most).toBeGreaterThan(highWaterMark);
  expect(most).toBeLessThanOrEqual(highWaterMark + message.length + 14);
  expect(received).toBe(count);
});

test('timers get their turns while messages pour in', async () => {
  const { uri } = await wsServer((socket) => {
    const block = 'x'.repeat(64);
    const pour = (): void => {
      for (let sent = 0; sent < 1000; sent++) socket.send(block);
      if (socket.readyState === socket.OPEN) setImmediate(pour);
    };
    pour();
  });
  const aws = await connect(uri);
  let messages = 0;
  let between = 0;
  aws.on('message', () => {
    messages++;
  });

  for (let ticks = 0, before = 0; ticks < 20; ticks++) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (messages > before) between++;
    before = messages;
  }

  expect(messages).toBeGreaterThan(0);
  expect(between).toBeGreaterThan(1);
});
