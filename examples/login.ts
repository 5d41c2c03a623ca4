/**
 * Logging in before anything else is told: `afterOpen` runs before `open` is emitted and before a
 * message reaches a listener, and a throw in it fails the opening.
 *
 *   node examples/run.mjs login [ws://…/login] [token]
 */
import { AioWebSocket } from 'aiowebsocket';

const [uri = 'ws://127.0.0.1:8765/login', token = 'open sesame'] = process.argv.slice(2);

class LoggedIn extends AioWebSocket {
  user = '';

  protected override async afterOpen(): Promise<void> {
    await this.manipulator.send(JSON.stringify({ op: 'login', token }));
    const answer = JSON.parse(await this.manipulator.receive({ text: true, timeout: 5000 })) as {
      user?: string;
      error?: string;
    };
    if (answer.user === undefined) throw new Error(`login failed: ${answer.error ?? 'no reason'}`);
    this.user = answer.user;
  }

  protected override async beforeClose(): Promise<void> {
    await this.manipulator.send(JSON.stringify({ op: 'logout' }));
  }
}

const aws = new LoggedIn(uri);
aws.on('open', () => {
  console.log(`logged in as ${aws.user}`);
});
try {
  await aws.createConnection();
  await aws.closeConnection();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
