/** What test runners put in Node's place: a DOM's classes (jsdom, happy-dom), faked timers. */
import { AioWebSocket, parseUri } from 'aiowebsocket';
import { atEnd } from './helpers/cleanup.js';
import { removePrograms, runProgram } from './helpers/program.js';
import { ended, open, Opcode } from './helpers/peer.js';
import { wsServer } from './helpers/ws-server.js';

afterAll(removePrograms);

/** Puts another class in the place of a global one. Returns the one that was there. */
function replaceGlobal<Name extends 'AbortSignal' | 'Blob' | 'URL'>(
  name: Name,
): (typeof globalThis)[Name] {
  const own = globalThis[name];
  const Parent = own as unknown as new () => object;
  Object.assign(globalThis, { [name]: class extends Parent {} });
  atEnd(() => Object.assign(globalThis, { [name]: own }));
  return own;
}

test('a URL of another class is one, too', () => {
  const OwnUrl = replaceGlobal('URL');

  expect(parseUri(new OwnUrl('ws://a:5/b'))).toMatchObject({ host: 'a', port: 5, resource: '/b' });
});

test('an AbortSignal of another class is one, too', async () => {
  const { uri } = await wsServer();
  replaceGlobal('AbortSignal');
  const { signal } = new AbortController();

  const aws = ended(await AioWebSocket.connect(uri, { signal }));

  const reason = new Error('enough');
  const controller = new AbortController();
  const received = aws.manipulator.receive({ signal: controller.signal });
  controller.abort(reason);
  await expect(received).rejects.toBe(reason);
});

test.each([
  ['whole', (blob: Blob) => blob],
  ['in pieces', (blob: Blob) => [blob]],
])('a Blob of another class is one, too: %s', async (_how, dataOf) => {
  const OwnBlob = replaceGlobal('Blob');
  const { converse, peer } = await open();

  await converse.send(dataOf(new OwnBlob(['bytes'])));

  const frame = await peer.next();
  expect(frame.opcode).toBe(Opcode.binary);
  expect(frame.payload.toString()).toBe('bytes');
});

test('a nextTick that was faked before this was loaded holds nothing back', async () => {
  const { uri } = await wsServer();
  jest.useFakeTimers();
  atEnd(() => jest.useRealTimers());
  await jest.isolateModulesAsync(async () => {
    const { AioWebSocket: Fresh } = await import('aiowebsocket');
    const { manipulator: converse } = ended(await Fresh.connect(uri));

    for (const message of ['one', 'two', 'three']) {
      await converse.send(message);
      expect(await converse.receive({ timeout: 1000 })).toBe(message);
    }
  });
});

test('what a listener throws is told where queueMicrotask is faked', async () => {
  const end = await runProgram(`
    const { Frames } = aiowebsocket;
    globalThis.queueMicrotask = () => {};
    process.on('uncaughtException', (error) => console.log(error.message));
    const frames = new Frames(() => {});
    frames.on('message', () => {
      throw new Error('of message');
    });
    frames.feed(Buffer.from('810161', 'hex'));
  `);

  expect(end).toMatchObject({ code: 0, stdout: 'of message\n' });
});

test('in Deno only what Node documents is used', async () => {
  const { uri } = await wsServer();
  const { versions } = process;
  Object.defineProperty(process, 'versions', { value: { ...versions, deno: '2.9.6' } });
  atEnd(() => Object.defineProperty(process, 'versions', { value: versions }));
  await jest.isolateModulesAsync(async () => {
    const { AioWebSocket: Fresh } = await import('aiowebsocket');
    const aws = ended(await Fresh.connect(uri));
    const written = jest.spyOn(Object.getPrototypeOf(aws.transport), '_write');

    for (const message of ['one', 'two', 'three']) {
      await aws.manipulator.send(message);
      await aws.manipulator.receive();
    }

    expect(written).toHaveBeenCalledTimes(3);
  });
});
