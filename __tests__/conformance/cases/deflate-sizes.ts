// permessage-deflate over message sizes and parameter sets: RFC 7692 section 7.
import { type Case, echoes, write } from '../case.js';
import { Compressor } from '../deflate.js';
import { noise, quotes } from '../samples.js';
import { frame, type Message, Opcode, toBytes } from '../wire.js';
import { compressed, type ParameterSet, SETS } from './deflate-parts.js';

type Kind = 'text' | 'binary';

/** Text that compresses, binary that does not; messages differ a little from each other. */
function samples(kind: Kind, size: number, count: number): Message[] {
  return Array.from({ length: count }, (_, index) => {
    if (kind === 'text') return quotes(size + index).slice(index, size + index);
    return Buffer.from(noise(size)).fill(index & 0xff, 0, Math.min(4, size));
  });
}

function sizes(set: ParameterSet, kind: Kind, size: number, count: number, long: boolean): Case {
  const { name, parameters } = set;
  return compressed({
    id: `${long ? 'sizes-long' : 'sizes'}/${name}/${kind}/${String(size)}`,
    title: `${String(count)} ${kind} messages of ${String(size)} octets, ${name}`,
    rfc: '7.1, 7.2',
    parameters,
    script: () => {
      const compressor = new Compressor(parameters);
      return samples(kind, size, count).flatMap((data, index) => [
        write(frame({ opcode: Opcode[kind], rsv: 4, payload: compressor.compress(toBytes(data)) })),
        ...(index % 10 === 9 ? [echoes(index + 1)] : []),
      ]);
    },
    messages: () => samples(kind, size, count),
    more: long ? { long, heavy: true, patience: 120_000 } : {},
  });
}

const QUICK = [0, 1, 16, 64, 256, 1024, 4096, 32_768, 65_536];
const ALL = [0, 16, 64, 256, 1024, 4096, 8192, 16_384, 32_768, 65_536, 131_072, 1_048_576];

function countFor(size: number): number {
  if (size <= 1024) return 1000;
  return size <= 131_072 ? 100 : 10;
}

const KINDS: readonly Kind[] = ['text', 'binary'];

export const deflateSizes: readonly Case[] = [
  ...SETS.slice(0, 8).flatMap((set) =>
    KINDS.flatMap((kind) => QUICK.map((size) => sizes(set, kind, size, 4, false))),
  ),
  ...SETS.flatMap((set) =>
    KINDS.flatMap((kind) => ALL.map((size) => sizes(set, kind, size, countFor(size), true))),
  ),
];
