/** The scenarios by name. */
import { busy, quietBesideBusy, timersBesideFirehose } from './crowds.mjs';
import { idle, slowConsumer } from './memory.mjs';
import { pingPong, pipeline, receive, send } from './messages.mjs';
import { openAtOnce, openSerially } from './openings.mjs';

/** @type {Record<string, (setting: import('./messages.mjs').Setting) => Promise<Record<string, number>>>} */
export const scenarios = {
  'ping-pong': pingPong,
  pipeline,
  receive,
  send,
  'open-serially': openSerially,
  'open-at-once': openAtOnce,
  idle,
  'slow-consumer': slowConsumer,
  busy,
  'quiet-beside-busy': quietBesideBusy,
  'timers-beside-firehose': timersBesideFirehose,
  // It needs a bundler, which the others are measured without.
  footprint: async (setting) => (await import('./footprint.mjs')).footprint(setting),
};
