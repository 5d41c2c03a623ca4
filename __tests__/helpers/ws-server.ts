/** A server made of `ws`: an echo, or what the test makes of it. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { IncomingMessage } from 'node:http';
import { WebSocketServer, type ServerOptions, type WebSocket } from 'ws';
import { atEnd } from './cleanup.js';

export interface WsServer {
  readonly uri: string;
  readonly server: WebSocketServer;
}

/** Sends back whatever comes. */
export function echo(socket: WebSocket): void {
  socket.on('message', (data: Buffer, isBinary) => {
    socket.send(data, { binary: isBinary });
  });
}

/** Starts a server, which is closed after the test. */
export async function wsServer(
  serve: (socket: WebSocket, request: IncomingMessage) => void = echo,
  options: ServerOptions = {},
): Promise<WsServer> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, ...options });
  server.on('connection', serve);
  await once(server, 'listening');
  atEnd(async () => {
    for (const socket of server.clients) socket.terminate();
    server.close();
    await once(server, 'close');
  });
  return { uri: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`, server };
}
