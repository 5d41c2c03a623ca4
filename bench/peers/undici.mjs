/** `undici`'s WebSocket. */
import { WebSocket } from 'undici';
import { openStandard } from './standard.mjs';

/** @param {import('./index.mjs').OpenOptions} options */
export default function open({ url }) {
  return openStandard(new WebSocket(url));
}
