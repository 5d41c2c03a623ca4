/** Servers that nobody here wrote, each an echo that also closes and fragments on demand. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { EventEmitter, on, once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createRequire } from 'node:module';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { connect } from 'node:tls';
import type { AioWebSocketOptions } from 'aiowebsocket';
import { WebSocketServer, type WebSocket } from 'ws';
import { makeCertificate } from '../helpers/tls.js';

/** How a connection ended, as its server saw it. */
export interface Ended {
  readonly code: number;
  readonly reason: string;
}

/** A server that runs. */
export interface Running {
  readonly uri: string;
  readonly options?: AioWebSocketOptions;
  /** Of each connection, in order. */
  readonly ends: AsyncIterator<Ended>;
  readonly stop: () => unknown;
}

export interface Peer {
  readonly name: string;
  readonly compresses: boolean;
  /** The code it answers a Close frame with, where that is not the frame's own. */
  readonly answersClose?: number;
  /** What is not installed; empty when everything is. */
  readonly missing: () => string;
  readonly start: () => Promise<Running>;
}

/** What a connection is told to do by a message. */
function command(message: string): { name: string; code: number; rest: string } {
  const [name = '', code = '', ...rest] = message.slice(0, 200).split(' ');
  return { name, code: Number(code), rest: rest.join(' ') };
}

/** The ends that a server emits as `end`, in order. */
async function* ends(server: EventEmitter): AsyncGenerator<Ended> {
  for await (const [end] of on(server, 'end') as AsyncIterable<[Ended]>) yield end;
}

const portOf = (server: { address: () => unknown }): number =>
  (server.address() as AddressInfo).port;

// ---- ws ----

function serveWs(socket: WebSocket, told: EventEmitter): void {
  socket.on('close', (code, reason) => told.emit('end', { code, reason: reason.toString() }));
  socket.on('message', (data: Buffer, isBinary) => {
    const text = isBinary ? '' : data.toString();
    const { name, code, rest } = command(text);
    if (name === 'close') socket.close(code, rest);
    else if (name === 'fragments') {
      const characters = Array.from(text.slice(name.length + 1));
      characters.forEach((one, i) => socket.send(one, { fin: i === characters.length - 1 }));
    } else socket.send(data, { binary: isBinary });
  });
}

async function startWs(): Promise<Running> {
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    perMessageDeflate: { threshold: 0 },
    handleProtocols: (offered) => offered.has('chat') && 'chat',
  });
  const told = new EventEmitter();
  server.on('connection', (socket) => serveWs(socket, told));
  await once(server, 'listening');
  return {
    uri: `ws://127.0.0.1:${portOf(server)}/`,
    ends: ends(told),
    stop: () => {
      for (const socket of server.clients) socket.terminate();
      server.close();
    },
  };
}

// ---- websocket (npm) ----

/** What is used of the package, which comes without types. */
interface Incoming {
  readonly requestedProtocols: readonly string[];
  accept: (protocol: string | null) => Connection;
}
interface Connection extends EventEmitter {
  sendUTF: (text: string) => void;
  sendBytes: (bytes: Buffer) => void;
  drop: (code: number, reason: string) => void;
  close: (code: number, reason: string) => void;
}
type Received = { type: 'utf8'; utf8Data: string } | { type: 'binary'; binaryData: Buffer };
interface WebSocketNode {
  readonly server: new (config: object) => EventEmitter & { shutDown: () => void };
}

function serveNode(connection: Connection, told: EventEmitter): void {
  connection.on('close', (code: number, reason: string) => told.emit('end', { code, reason }));
  connection.on('message', (message: Received) => {
    if (message.type === 'binary') {
      connection.sendBytes(message.binaryData);
      return;
    }
    const { name, code, rest } = command(message.utf8Data);
    if (name === 'close') connection.close(code, rest);
    // Everything beyond 250 bytes goes out in fragments.
    else connection.sendUTF(message.utf8Data.replace(/^fragments /, ''));
  });
}

async function startNode(): Promise<Running> {
  const { server: Server } = createRequire(__filename)('websocket') as WebSocketNode;
  const httpServer = createHttpServer();
  const server = new Server({
    httpServer,
    fragmentationThreshold: 250,
    maxReceivedFrameSize: 2 ** 22,
    maxReceivedMessageSize: 2 ** 22,
  });
  const told = new EventEmitter();
  server.on('request', (request: Incoming) => {
    const chosen = request.requestedProtocols.includes('chat') ? 'chat' : null;
    serveNode(request.accept(chosen), told);
  });
  httpServer.listen(0, '127.0.0.1');
  await once(httpServer, 'listening');
  return {
    uri: `ws://127.0.0.1:${portOf(httpServer)}/`,
    ends: ends(told),
    stop: () => {
      server.shutDown();
      httpServer.close();
      httpServer.closeAllConnections();
    },
  };
}

// ---- Python ----

const PYTHON = '/usr/bin/python3';

const runs = (program: string, ...args: string[]): boolean =>
  spawnSync(program, args, { stdio: 'ignore' }).status === 0;

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function* parsed(lines: AsyncIterator<string>): AsyncGenerator<Ended> {
  for (;;) {
    const { value, done } = await lines.next();
    if (done) return;
    yield JSON.parse(value) as Ended;
  }
}

async function startPython(): Promise<Running> {
  const child = spawn(PYTHON, [join(__dirname, 'echo.py')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const { value: port } = (await lines.next()) as { value: string | undefined };
  if (port === undefined) throw new Error(`${PYTHON} echo.py ended before it listened`);
  return { uri: `ws://127.0.0.1:${port}/`, ends: parsed(lines), stop: () => kill(child) };
}

// ---- nginx, with TLS, in front of ws ----

const nginx = (): string | undefined =>
  ['nginx', '/usr/sbin/nginx'].find((program) => runs(program, '-v'));

const config = (port: number, backend: number): string => `
daemon off;
master_process off;
pid nginx.pid;
error_log stderr error;
events {}
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate cert.pem;
    ssl_certificate_key key.pem;
    location / {
      proxy_pass http://127.0.0.1:${backend};
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
    }
  }
}
`;

/** A port that is free, for a program that cannot choose one itself. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const port = portOf(server);
  server.close();
  await once(server, 'close');
  return port;
}

/** Waits until it listens: it, and not another that has come by the port meanwhile. */
async function listening(port: number, ca: string, child: ChildProcess): Promise<boolean> {
  for (let tries = 0; tries < 200 && child.exitCode === null; tries++) {
    const socket = connect({ port, host: '127.0.0.1', ca, timeout: 1000 });
    const connected = await new Promise<boolean>((resolve) => {
      socket.on('secureConnect', () => resolve(true));
      for (const failure of ['error', 'timeout', 'close']) socket.on(failure, () => resolve(false));
    });
    socket.destroy();
    if (connected) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}

async function startNginx(): Promise<Running> {
  const program = nginx();
  if (program === undefined) throw new Error('nginx is not installed');
  const backend = await startWs();
  const folder = mkdtempSync(join(tmpdir(), 'aiowebsocket-nginx-'));
  const { cert, key } = makeCertificate('127.0.0.1', { names: ['127.0.0.1'] });
  writeFileSync(join(folder, 'cert.pem'), cert);
  writeFileSync(join(folder, 'key.pem'), key, { mode: 0o600 });
  const { ends } = backend;
  const end = (): void => {
    backend.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  for (let attempts = 0; attempts < 5; attempts++) {
    const port = await freePort();
    writeFileSync(join(folder, 'nginx.conf'), config(port, Number(new URL(backend.uri).port)));
    const child = spawn(program, ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr'], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    if (await listening(port, cert, child)) {
      const stop = async (): Promise<void> => {
        await kill(child);
        end();
      };
      return { uri: `wss://127.0.0.1:${port}/`, options: { ssl: { ca: cert } }, ends, stop };
    }
    await kill(child);
  }
  end();
  throw new Error('nginx does not listen');
}

export const PEERS: readonly Peer[] = [
  { name: 'ws', compresses: true, missing: () => '', start: startWs },
  {
    name: 'websocket (npm)',
    compresses: false,
    answersClose: 1000,
    missing: () => '',
    start: startNode,
  },
  {
    name: 'websockets (Python)',
    compresses: true,
    missing: () =>
      runs(PYTHON, '-c', 'import websockets') ? '' : `websockets for ${PYTHON} is not installed`,
    start: startPython,
  },
  {
    name: 'nginx with TLS, before ws',
    compresses: true,
    missing: () => (nginx() === undefined ? 'nginx is not installed' : ''),
    start: startNginx,
  },
];
