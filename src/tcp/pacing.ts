// Pacing: the data of a connection whose congestion control names a rate is spread over time, instead of leaving as one
// burst for each ACK. output.ts asks before each segment with data and charges it; timers.ts wakes the connection.
// A control that names no rate costs one look at its method.

import { type Micros, micros, millis, NEVER } from '../time.ts'
import type { Connection } from './connection.ts'

/** What goes at once, as Linux's tcp_tso_autosize has it: the bytes of a millisecond, but two segments at least. */
const BURST_SECONDS = 0.001
const BURST_SEGMENTS = 2
/** Timers of real hosts come late: by up to this, or the length of a burst, the rate is made up for; a longer pause is none. */
const MOST_LATE = millis(2)

/** Whether the connection must wait for its rate; the timer is then armed. */
export function isHeldBack(connection: Connection, now: Micros): boolean {
  const { control, pacedUntil, timers } = connection
  if (control.pacingRate === undefined) return false
  const held = pacedUntil > now
  timers.paceAt = held ? micros(Math.ceil(pacedUntil)) : NEVER
  // It is the control that limits: its next sample is as good as that of a window that was used.
  if (held) connection.windowLimited = true
  return held
}

/** Bytes that may leave as one super-segment: whole segments. */
export function burstBytes(connection: Connection): number {
  const rate = rateOf(connection)
  if (rate === 0) return Number.POSITIVE_INFINITY
  const { mss } = connection.snd
  return Math.max(BURST_SEGMENTS, Math.floor((rate * BURST_SECONDS) / mss)) * mss
}

/** Payload was sent: the next may follow when the rate has room for it. */
export function chargePacing(connection: Connection, bytes: number, now: Micros): void {
  const rate = rateOf(connection)
  if (rate === 0) return
  const length = (bytes * 1_000_000) / rate
  const { pacedUntil } = connection
  const isLate = now - pacedUntil <= Math.max(MOST_LATE, length)
  // Not rounded: at high rates a burst takes a few microseconds, and what rounding adds would add up.
  connection.pacedUntil = (isLate ? pacedUntil : now) + length
}

/** Bytes a second; 0: not paced. */
export function rateOf(connection: Connection): number {
  const { control, rtt, window } = connection
  return control.pacingRate === undefined ? 0 : control.pacingRate(window, rtt.srtt)
}
