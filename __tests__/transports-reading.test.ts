/** What a socket reads reaches the connection it is for, however Node hands it over. */
import net, { type NetConnectOpts } from 'node:net';
import type * as Library from 'aiowebsocket';
import { atEnd } from './helpers/cleanup.js';
import { listen, text } from './helpers/peer.js';

type Callback = (this: unknown, bytes: number, buffer: Uint8Array) => boolean;

/** Each of three connections, one opened after the other, is sent a message of its own. */
async function received(): Promise<unknown[]> {
  const server = await listen();
  let library!: typeof Library;
  // Loaded anew: what it has learned of Node counts for the process.
  jest.isolateModules(() => {
    library = jest.requireActual('aiowebsocket');
  });
  const pairs = [];
  for (let i = 0; i < 3; i++) {
    const aws = new library.AioWebSocket(server.uri);
    atEnd(() => {
      aws.terminate();
    });
    await aws.createConnection();
    pairs.push({ aws, peer: await server.accept() });
  }
  pairs.forEach(({ peer }, i) => {
    peer.send(text(`for ${i}`));
  });
  return Promise.all(pairs.map(({ aws }) => aws.manipulator.receive()));
}

test.each<[string, () => void]>([
  ['as a method of the socket, as Node does', () => undefined],
  [
    'as a method of the socket, which is not relied on',
    () => {
      process.env['AIOWEBSOCKET_DOCUMENTED'] = '1';
      atEnd(() => Reflect.deleteProperty(process.env, 'AIOWEBSOCKET_DOCUMENTED'));
    },
  ],
  [
    'without the socket, as another version may do',
    () => {
      const { connect } = net;
      const spy = jest.spyOn(net, 'connect').mockImplementation(((settings: NetConnectOpts) => {
        const { buffer, callback } = settings.onread as { buffer: Buffer; callback: Callback };
        const onread = {
          buffer,
          callback: (bytes: number, bytesAt: Uint8Array) =>
            callback.call(undefined, bytes, bytesAt),
        };
        return connect({ ...settings, onread });
      }) as typeof connect);
      atEnd(() => {
        expect(spy).toHaveBeenCalledTimes(3);
        spy.mockRestore();
      });
    },
  ],
])('called %s', async (_how, prepare) => {
  prepare();

  await expect(received()).resolves.toEqual(['for 0', 'for 1', 'for 2']);
});
