// What the cases on the opening handshake share.
import type { ClientOptions } from '../adapter.js';
import { type Case, type Outcome, type Step, write } from '../case.js';
import type { Request } from '../http.js';
import { text } from '../wire.js';

export const AREA = 'handshake';

export interface Handshake {
  readonly id: string;
  readonly title: string;
  readonly rfc?: string;
  readonly options?: ClientOptions;
  readonly opening: (request: Request) => readonly Step[];
  readonly outcome: Outcome;
  readonly protocol?: string;
}

/** A case that stands or falls with its handshake; a working one has to echo a message. */
export function handshakeCase(fields: Handshake): Case {
  const { id, title, rfc = '4.1', options, opening, outcome, protocol } = fields;
  const opens = outcome.kind === 'works';
  return {
    id: `${AREA}/${id}`,
    area: AREA,
    title,
    rfc,
    opening,
    ...(options === undefined ? {} : { options }),
    ...(opens ? { script: () => [write(text('hello'))] } : {}),
    expect: {
      outcome,
      ...(opens ? { messages: ['hello'] } : {}),
      ...(protocol === undefined ? {} : { protocol }),
    },
  };
}
