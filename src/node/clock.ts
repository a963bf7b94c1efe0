// The real clock. Time stands still for the length of a batch: the driver advances it once before each.

import type { Clock, Micros } from '../time.ts'

/** A clock that whoever runs the batches moves on. */
export interface AdvancingClock extends Clock {
  /** Takes the time once; now() and wall() stay there until the next call. */
  advance(): Micros
}

const MICROS_PER_SECOND = 1_000_000
const NANOS_PER_MICRO = 1_000

export class BatchClock implements AdvancingClock {
  private readonly originSeconds: number
  private readonly originNanos: number
  /** What to add to now() for the time of day, as of the construction: steps of the system clock do not reach it. */
  private readonly wallOffset: number
  private instant: Micros = 0 as Micros

  constructor() {
    const [seconds, nanos] = process.hrtime()
    this.originSeconds = seconds
    this.originNanos = nanos
    this.wallOffset = Date.now() * 1_000
  }

  /** Microseconds since the clock was made; the first instant is 1, since 0 means "at once" in a deadline. */
  now(): Micros {
    return this.instant
  }

  wall(): Micros {
    return (this.wallOffset + this.instant) as Micros
  }

  advance(): Micros {
    const [seconds, nanos] = process.hrtime()
    const elapsed =
      (seconds - this.originSeconds) * MICROS_PER_SECOND + Math.floor((nanos - this.originNanos) / NANOS_PER_MICRO)
    this.instant = (elapsed + 1) as Micros
    return this.instant
  }
}
