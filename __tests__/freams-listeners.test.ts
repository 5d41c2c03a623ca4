/** A listener's bug is the application's: it surfaces there, and the parser goes on. */
import { removePrograms, runProgram } from './helpers/program.js';
import { close, frame, ping, pong, text } from './helpers/frames.js';

afterAll(removePrograms);

const wire = Buffer.concat([text('a'), ping('b'), pong('c'), text('d'), close(1000, 'e')]);

const throwing = `
  const { Frames } = aiowebsocket;
  const wire = Buffer.from('${wire.toString('hex')}', 'hex');
  const frames = new Frames(() => {});
  const told = [];
  for (const event of ['message', 'ping', 'pong', 'close']) {
    frames.on(event, (data) => {
      told.push(event + ' ' + data);
      throw new Error('of ' + event);
    });
  }
`;

test.each([1, 3, wire.length])(
  'each throw is an uncaught exception, and all is told, fed %i bytes at a time',
  async (size) => {
    const end = await runProgram(`${throwing}
      const uncaught = [];
      process.on('uncaughtException', (error) => uncaught.push(error.message));
      for (let i = 0; i < wire.length; i += ${size}) frames.feed(wire.subarray(i, i + ${size}));
      const atOnce = told.length;
      setImmediate(() => console.log(JSON.stringify({ told, atOnce, uncaught })));
    `);

    expect(end).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(end.stdout)).toEqual({
      told: ['message a', 'ping b', 'pong c', 'message d', 'close 1000'],
      atOnce: 5,
      uncaught: ['of message', 'of ping', 'of pong', 'of message', 'of close'],
    });
  },
);

test('who catches nothing ends, as with any uncaught exception', async () => {
  const end = await runProgram(`${throwing}
    frames.feed(wire);
    setImmediate(() => console.log('still here'));
  `);

  expect(end.code).toBe(1);
  expect(end.stdout).toBe('');
  expect(end.stderr).toContain('Error: of message');
});

test('a throw does not hide a fault in the bytes behind', async () => {
  const broken = Buffer.concat([text('a'), frame({ opcode: 7 })]).toString('hex');
  const end = await runProgram(`${throwing}
    process.on('uncaughtException', (error) => console.log(error.message));
    try {
      frames.feed(Buffer.from('${broken}', 'hex'));
    } catch (error) {
      console.log(error.name);
    }
  `);

  expect(end).toMatchObject({ code: 0, stdout: 'FrameError\nof message\n' });
});

test('a reader that is served by a throwing listener still gets later messages', async () => {
  const end = await runProgram(`${throwing}
    process.on('uncaughtException', () => {});
    frames.feed(wire.subarray(0, 3));
    frames.read().then((message) => console.log('read ' + message));
    frames.feed(wire.subarray(3));
  `);

  expect(end).toMatchObject({ code: 0, stdout: 'read d\n' });
});
