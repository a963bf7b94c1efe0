// How exactly the stack must do what a script says.

import { type Micros, micros, millis } from '../time.ts'

/**
 * strict: to the letter. lenient: PSH, windows and window scale are not compared, and times are those of a real
 * machine. portable: what the RFCs leave open besides: the order of options, when exactly an ACK goes, and whatever a
 * command of another system would say.
 */
export type Level = 'strict' | 'lenient' | 'portable'

export const LEVELS: readonly Level[] = ['strict', 'lenient', 'portable']

/** In virtual time nothing comes late by accident. */
const STRICT_TOLERANCE = millis(1)
const LENIENT_TOLERANCE = millis(4)
const LENIENT_PERCENT = 12.5

/** How far from its time something may happen: `gap` is the time since the event before it. */
export function toleranceOf(level: Level, options: ReadonlyMap<string, string>, gap: number): Micros {
  const asked = Number(options.get('tolerance_usecs') ?? 0)
  if (level === 'strict') return micros(Math.max(asked, STRICT_TOLERANCE))
  const percent = Number(options.get('tolerance_percent') ?? LENIENT_PERCENT)
  return micros(Math.max(asked, LENIENT_TOLERANCE, (percent / 100) * gap))
}
