/**
 * A handshake that signs each request, as many APIs of exchanges want it: one method of HandShake
 * overridden, the rest left alone.
 *
 *   API_SECRET=… node examples/run.mjs signed-handshake [ws://…/signed]
 */
import { createHmac } from 'node:crypto';
import {
  AioWebSocket,
  AioWebSocketError,
  HandShake,
  HandShakeError,
  type HeaderList,
} from 'aiowebsocket';

const secret = process.env['API_SECRET'] ?? 'open sesame';

class SignedHandShake extends HandShake {
  protected override requestHeaders(): HeaderList {
    const timestamp = String(Date.now());
    const signature = createHmac('sha256', secret)
      .update(`${timestamp}GET${this.remote.resource}`)
      .digest('hex');
    return [...super.requestHeaders(), ['X-Timestamp', timestamp], ['X-Signature', signature]];
  }
}

const uri = process.argv[2] ?? 'ws://127.0.0.1:8765/signed';
try {
  await AioWebSocket.connect(uri, { handShake: SignedHandShake }, async (aws) => {
    await aws.manipulator.send('AioWebSocket - Async WebSocket Client');
    console.log('Client receive:', await aws.manipulator.receive({ text: true }));
  });
} catch (error) {
  if (!(error instanceof AioWebSocketError)) throw error;
  console.error(
    error instanceof HandShakeError
      ? `refused: ${error.status ?? ''} ${error.body?.toString() ?? ''}`
      : `${error.code}: ${error.message}`,
  );
  process.exitCode = 1;
}
