/**
 * A server for the other examples to talk to. It is written with `ws`: this package is a client.
 *
 *   node examples/run.mjs server [port]
 *
 * /        sends every message back
 * /feed    sends ticks: ?count= at most so many, ?interval= milliseconds between them
 * /login   wants {"op":"login","token":"open sesame"} first
 * /signed  refuses requests that were not signed with "open sesame"
 */
import { createHmac } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';

const SECRET = 'open sesame';

function isSigned({ url = '', headers }: IncomingMessage): boolean {
  const text = `${String(headers['x-timestamp'])}GET${url}`;
  return headers['x-signature'] === createHmac('sha256', SECRET).update(text).digest('hex');
}

function echo(socket: WebSocket): void {
  socket.on('message', (data, binary) => {
    socket.send(data, { binary });
  });
}

function feed(socket: WebSocket, url: URL): void {
  const count = Number(url.searchParams.get('count') ?? Infinity);
  const interval = Number(url.searchParams.get('interval') ?? 1000);
  let sent = 0;
  const timer = setInterval(() => {
    if (sent < count) socket.send(JSON.stringify({ tick: ++sent }));
    else socket.close(1000, 'no more');
  }, interval);
  socket.on('close', () => clearInterval(timer));
}

function login(socket: WebSocket): void {
  socket.once('message', (data: Buffer) => {
    const { op, token } = JSON.parse(data.toString()) as { op?: string; token?: string };
    const known = op === 'login' && token === SECRET;
    socket.send(JSON.stringify(known ? { user: 'aladdin' } : { error: 'unknown token' }));
    if (!known) socket.close(1008, 'unknown token');
  });
}

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(process.argv[2] ?? 8765),
  verifyClient: ({ req }: { req: IncomingMessage }) =>
    req.url?.startsWith('/signed') !== true || isSigned(req),
});
server.on('connection', (socket, request) => {
  const url = new URL(request.url ?? '/', 'ws://localhost');
  socket.on('error', (error) => {
    console.error(error.message);
  });
  if (url.pathname === '/feed') feed(socket, url);
  else if (url.pathname === '/login') login(socket);
  else echo(socket);
});
server.on('listening', () => {
  console.log(`listening on ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.once('SIGINT', () => {
  for (const socket of server.clients) socket.close(1001);
  server.close();
});
