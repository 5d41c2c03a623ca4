/**
 * The server, in a process of its own: raw sockets, no checks, made to outrun every client.
 *
 *   /echo                        what came, unmasked, one write for each chunk that was read
 *   /source?kind=text&size=64    messages without end, once the client has sent one
 *   /sink                        counts; answers `done` with how many messages came before it
 *   /json-source, /json-echo     compressed JSON: without end; one for each message that came
 *   /json-idle                   compression is agreed on; nothing but pings is to come
 *
 * Started by fork(), it tells its ports by IPC, and ends with the process that started it.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { ClientFrames, opcodes, packFrame } from './frames.mjs';
import { dealer, deflatedLoop, plainLoop, pour } from './streams.mjs';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** Connections that may wait to be accepted: many are opened at once. */
const BACKLOG = 4_096;
/** Bytes that may wait to be sent to a client before no more is read from it. */
const HIGH_WATER_MARK = 4_194_304;
/** A message as short as this ends a sink's count. */
const DONE_SIZE = 4;

/** @typedef {import('node:net').Socket} Socket */
/** @typedef {(chunk: Buffer) => void} ChunkReader */

/** @type {Map<string, import('./streams.mjs').FrameLoop>} */
const loops = new Map();

/**
 * @param {string} name
 * @param {() => import('./streams.mjs').FrameLoop} make
 */
function loopOf(name, make) {
  const loop = loops.get(name) ?? make();
  loops.set(name, loop);
  return loop;
}

/**
 * @param {Socket} socket
 * @returns {ChunkReader}
 */
function echo(socket) {
  const frames = new ClientFrames();
  return (chunk) => {
    const reply = frames.echo(chunk);
    if (frames.closed) socket.end(reply);
    else if (!socket.write(reply)) holdReading(socket);
  };
}

/** @type {Record<string, (socket: Socket, url: URL) => ChunkReader>} */
const modes = {
  '/echo': echo,
  '/json-idle': echo,

  '/source': (socket, { search, searchParams }) => {
    const kind = /** @type {import('./payloads.mjs').Kind} */ (searchParams.get('kind'));
    const size = Number(searchParams.get('size'));
    const loop = loopOf(search, () => plainLoop(kind, size));
    return onFirst(() => pour(socket, loop));
  },

  '/sink': (socket) => {
    const frames = new ClientFrames();
    let count = 0;
    return (chunk) => {
      frames.skip(chunk, (length) => {
        if (length === DONE_SIZE) socket.write(packFrame(String(count)));
        count = length === DONE_SIZE ? 0 : count + 1;
      });
      if (frames.closed) socket.end();
    };
  },

  '/json-source': (socket) => {
    const loop = loopOf('json', deflatedLoop);
    return onFirst(() => pour(socket, loop));
  },

  '/json-echo': (socket) => {
    const frames = new ClientFrames();
    const deal = dealer(loopOf('json', deflatedLoop));
    return (chunk) => {
      let count = 0;
      frames.skip(chunk, (_length, opcode) => {
        if (opcode < opcodes.close) count++;
      });
      if (count > 0) socket.write(Buffer.concat(deal(count)));
      if (frames.closed) socket.end();
    };
  },
};

/**
 * @param {() => void} start
 * @returns {ChunkReader}
 */
function onFirst(start) {
  let started = false;
  return () => {
    if (!started) start();
    started = true;
  };
}

/** @param {Socket} socket */
function holdReading(socket) {
  socket.pause();
  socket.once('drain', () => socket.resume());
}

/** @param {Socket} socket */
function serve(socket) {
  let head = '';
  /** @type {ChunkReader | undefined} */
  let read;
  socket.setNoDelay(true);
  // Clients leave without a word.
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    if (read !== undefined) {
      read(chunk);
      return;
    }
    head += chunk.toString('latin1');
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    read = shake(socket, head.slice(0, end));
    const rest = Buffer.from(head.slice(end + 4), 'latin1');
    if (rest.length > 0) read(rest);
  });
}

/**
 * @param {Socket} socket
 * @param {string} head the request's
 * @returns {ChunkReader}
 */
function shake(socket, head) {
  const url = new URL(head.split(' ', 2)[1] ?? '/', 'ws://localhost');
  const mode = modes[url.pathname];
  if (mode === undefined) {
    socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n');
    return () => undefined;
  }
  const key = /^sec-websocket-key: *(\S+)/im.exec(head)?.[1];
  const accept = createHash('sha1').update(`${key}${GUID}`).digest('base64');
  const compressed = url.pathname.startsWith('/json') && head.includes('permessage-deflate');
  // What it needs is made before the client is let in, and its clock runs.
  const read = mode(socket, url);
  socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${accept}\r\n` +
      `${compressed ? 'Sec-WebSocket-Extensions: permessage-deflate\r\n' : ''}\r\n`,
  );
  return read;
}

/**
 * @param {import('node:net').Server} server
 * @returns {Promise<number>} its port
 */
function listen(server) {
  return new Promise((resolve) => {
    server.listen({ host: '127.0.0.1', port: 0, backlog: BACKLOG }, () => {
      resolve(/** @type {import('node:net').AddressInfo} */ (server.address()).port);
    });
  });
}

const [keyFile, certFile] = process.argv.slice(2);
const port = await listen(createServer({ highWaterMark: HIGH_WATER_MARK }, serve));
const tlsPort =
  keyFile === undefined || certFile === undefined
    ? undefined
    : await listen(
        createTlsServer({ key: readFileSync(keyFile), cert: readFileSync(certFile) }, serve),
      );
process.on('disconnect', () => process.exit());
process.send?.({ port, tlsPort });
