// Ephemeral ports by simple randomization (RFC 6056 §3.3.1): a random start, then the next free one.

import { EPHEMERAL_FIRST, EPHEMERAL_LAST } from '../ephemeral-range.ts'
import type { Random } from '../random.ts'

/** A port for which `isFree` holds, or 0 when there is none. */
export function chooseEphemeralPort(random: Random, isFree: (port: number) => boolean): number {
  const count = EPHEMERAL_LAST - EPHEMERAL_FIRST + 1
  const start = random.below(count)
  for (let step = 0; step < count; step++) {
    const port = EPHEMERAL_FIRST + ((start + step) % count)
    if (isFree(port)) return port
  }
  return 0
}
