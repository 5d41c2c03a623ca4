// What the cases on closing share.
import type { Case, Outcome, Step } from '../case.js';

export const AREA = 'close';

/** One case on closing. */
export function make(
  id: string,
  title: string,
  rfc: string,
  steps: readonly Step[],
  outcome: Outcome,
  more: Omit<Case['expect'], 'outcome'> = {},
): Case {
  return {
    id: `${AREA}/${id}`,
    area: AREA,
    title,
    rfc,
    script: () => steps,
    expect: { ...more, outcome },
  };
}

/** A Close of the server is answered with its own code, and reported. */
export function answered(code: number, reason = ''): Outcome {
  return { kind: 'closes', sends: [code], reports: [code], reason };
}
