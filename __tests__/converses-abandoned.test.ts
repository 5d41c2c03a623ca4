/** A pull side that nobody uses any more. A file of its own: the warning comes once a process. */
import { eventually, open, text } from './helpers/peer.js';

const texts = (from: number, to: number): Buffer[] =>
  Array.from({ length: to - from }, (_, i) => text(`m${from + i}`));

test('a full queue that listeners saw and nobody pulls is dropped, with one warning, until the next pull', async () => {
  const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  const pairs = [await open({ maxQueue: 100 }), await open({ maxQueue: 100 })];
  for (const pair of pairs) {
    const { aws, converse, peer } = pair;
    let seen = 0;
    aws.on('message', () => {
      seen++;
    });
    peer.send(...texts(0, 1));
    expect(await converse.receive()).toBe('m0');

    peer.send(...texts(1, 300));
    await eventually(pair, () => seen === 300);

    expect(converse.queueSize).toBe(0);
    expect(aws.transport?.isPaused()).toBe(false);
    const next = converse.receive();
    peer.send(...texts(300, 302));
    expect(await next).toBe('m300');
    expect(await converse.receive()).toBe('m301');
  }

  expect(warn).toHaveBeenCalledTimes(1);
  expect(warn).toHaveBeenCalledWith(expect.stringMatching(/receive\(\)/), expect.anything());
});
