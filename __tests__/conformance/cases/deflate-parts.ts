// What the cases on permessage-deflate share.
import type { CompressionOffer } from '../adapter.js';
import { type Case, type Expectation, type Outcome, type Step, works, write } from '../case.js';
import {
  Compressor,
  type CompressOptions,
  type DeflateParameters,
  extensionHeader,
} from '../deflate.js';
import { type Request, response } from '../http.js';
import type { Message } from '../wire.js';

export const AREA = 'deflate';

/** The opening that answers with this value of Sec-WebSocket-Extensions. */
export function agreeing(value: string): (request: Request) => readonly Step[] {
  return (request) => [write(response(request, { extra: [['Sec-WebSocket-Extensions', value]] }))];
}

export interface Compressed {
  readonly id: string;
  readonly title: string;
  readonly rfc?: string;
  readonly parameters?: DeflateParameters;
  readonly offer?: CompressionOffer;
  readonly maxPayload?: number;
  readonly script: () => readonly Step[];
  readonly messages?: readonly Message[] | (() => readonly Message[]);
  readonly expect?: Omit<Expectation, 'outcome' | 'messages'>;
  readonly outcome?: Outcome;
  readonly more?: Pick<Case, 'heavy' | 'long' | 'patience' | 'echo'>;
}

/** A case where permessage-deflate was agreed on. */
export function compressed(fields: Compressed): Case {
  const { id, title, rfc = '7.2', parameters = {}, offer = {}, maxPayload } = fields;
  const { script, messages, expect = {}, outcome = works, more = {} } = fields;
  return {
    id: `${AREA}/${id}`,
    area: AREA,
    title,
    rfc: `7692 section ${rfc}`,
    options: { compression: offer, ...(maxPayload === undefined ? {} : { maxPayload }) },
    deflate: parameters,
    opening: agreeing(extensionHeader(parameters)),
    script,
    expect: { ...expect, ...(messages === undefined ? {} : { messages }), outcome },
    ...more,
  };
}

export interface ParameterSet {
  readonly name: string;
  readonly parameters: DeflateParameters;
}

/** The sets of Autobahn's section 13, and the limits of the window in between. */
export const SETS: readonly ParameterSet[] = [
  { name: 'plain', parameters: {} },
  { name: 'server-reset', parameters: { serverReset: true } },
  { name: 'client-reset', parameters: { clientReset: true } },
  { name: 'both-reset', parameters: { serverReset: true, clientReset: true } },
  { name: 'bits-9', parameters: { serverBits: 9, clientBits: 9 } },
  { name: 'bits-15', parameters: { serverBits: 15, clientBits: 15 } },
  {
    name: 'bits-9-reset',
    parameters: { serverBits: 9, clientBits: 9, serverReset: true, clientReset: true },
  },
  { name: 'bits-8', parameters: { serverBits: 8, clientBits: 8 } },
  { name: 'server-bits-12', parameters: { serverBits: 12 } },
  { name: 'client-bits-12', parameters: { clientBits: 12 } },
  {
    name: 'bits-15-reset',
    parameters: { serverBits: 15, clientBits: 15, serverReset: true, clientReset: true },
  },
];

/** Octets written in hexadecimal, with spaces. */
export function octets(bytes: string): Buffer {
  return Buffer.from(bytes.replaceAll(' ', ''), 'hex');
}

/** The payload of a message compressed by itself. */
export function packed(data: string | Buffer, options: CompressOptions = {}): Buffer {
  return new Compressor().compress(data, options);
}
