// What a program may set on a connection, and whether it makes sense; the defaults are in default-options.ts.

import { UsageError } from '../errors.ts'
import type { Micros } from '../time.ts'
import type { CongestionControl } from './congestion.ts'

/** What a program may set on a connection. Times in microseconds. */
export interface ConnectionOptions {
  noDelay: boolean
  /** Send only full segments until it is switched off (Linux's TCP_CORK). */
  cork: boolean
  keepAlive: boolean
  keepAliveIdle: Micros
  keepAliveInterval: Micros
  keepAliveCount: number
  /** How long sent data may stay unacknowledged (RFC 5482, local); 0: as many retries as the stack allows. */
  userTimeout: Micros
  hopLimit: number
  trafficClass: number
  /** Upper bounds of the buffers, which tune themselves below them. */
  receiveBytes: number
  sendBytes: number
  /** Its port may be bound again while it lasts, TIME-WAIT included, if who binds it says so too (SO_REUSEADDR). A listener's is never shared. */
  reuseAddress: boolean
  /** The largest segment to announce and to send, options not taken off (Linux's TCP_MAXSEG); 0: what link and peer take. */
  segmentLimit: number
  /** Makes the congestion control; null: the stack's (Linux's TCP_CONGESTION). */
  congestionControl: (() => CongestionControl) | null
}

/** The longest of its times: as many milliseconds as a signed number of 32 bits holds, some 24 days. */
const LONGEST = 0x7fff_ffff * 1_000
/** A larger buffer could not be told: 65,535 bytes, scaled by 14 (RFC 7323 §2.3). */
const LARGEST = 0xffff * 2 ** 14

const RANGES = {
  keepAliveIdle: [1, LONGEST],
  keepAliveInterval: [1, LONGEST],
  keepAliveCount: [1, 255],
  userTimeout: [0, LONGEST],
  hopLimit: [1, 255],
  trafficClass: [0, 255],
  receiveBytes: [1, LARGEST],
  sendBytes: [1, LARGEST],
  segmentLimit: [0, 0xffff],
} as const satisfies Partial<Record<keyof ConnectionOptions, readonly [least: number, most: number]>>

/** Throws UsageError for a number that no connection could work with. */
export function checkOptions(options: Partial<ConnectionOptions>): void {
  for (const name of Object.keys(RANGES) as (keyof typeof RANGES)[]) {
    const value = options[name]
    const [least, most] = RANGES[name]
    if (value === undefined || (Number.isInteger(value) && value >= least && value <= most)) continue
    throw new UsageError(`${name} is ${value}: give a whole number from ${least} to ${most}`)
  }
}
