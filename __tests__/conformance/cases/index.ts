// Every case there is, in the order of the areas.
import type { Case } from '../case.js';
import { opcodes, reserved } from './bits.js';
import { closing } from './close.js';
import { deflateMessages } from './deflate-messages.js';
import { deflateOffers } from './deflate-offers.js';
import { deflateSizes } from './deflate-sizes.js';
import { deflateWrong } from './deflate-wrong.js';
import { fragmentation } from './fragmentation.js';
import { framing } from './framing.js';
import { handshake } from './handshake.js';
import { handshakeAbuse } from './handshake-abuse.js';
import { handshakeAnswers } from './handshake-answers.js';
import { handshakeBytes } from './handshake-bytes.js';
import { limits } from './limits.js';
import { pings } from './pings.js';
import { sending } from './sending.js';
import { utf8 } from './utf8.js';

export const allCases: readonly Case[] = [
  ...framing,
  ...pings,
  ...reserved,
  ...opcodes,
  ...fragmentation,
  ...utf8,
  ...closing,
  ...limits,
  ...sending,
  ...deflateOffers,
  ...deflateMessages,
  ...deflateWrong,
  ...deflateSizes,
  ...handshake,
  ...handshakeAnswers,
  ...handshakeBytes,
  ...handshakeAbuse,
];

/** Those that `npm test` has time for. */
export const quickCases: readonly Case[] = allCases.filter((subject) => subject.long !== true);
