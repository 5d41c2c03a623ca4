/** The WebSocket that Node brings along. */
import { openStandard } from './standard.mjs';

/** @param {import('./index.mjs').OpenOptions} options */
export default function open({ url }) {
  return openStandard(new globalThis.WebSocket(url));
}
