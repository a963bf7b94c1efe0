// Where the instants of a connection lie: the deadlines of its timers, and when things happened. All are in one array,
// for in a field of an object V8 keeps a double as a box of 16 bytes beside the field's 8, and an array of doubles holds
// them bare: of a connection that does nothing the boxes were a seventh (npm run bench -- tcp-connections).

import { type Micros, NEVER } from '../time.ts'

// The deadlines come first: Timers has them.
const RETRANSMIT_AT = 0
const PROBE_AT = 1
const REORDER_AT = 2
const PERSIST_AT = 3
const DELAYED_ACK_AT = 4
const KEEP_ALIVE_AT = 5
const TIME_WAIT_AT = 6
const RESUME_AT = 7
const PACE_AT = 8
const DEADLINES = 9
// The others are Connection's.
export const DEADLINE_AT = 9
export const SCHEDULED_AT = 10
export const TS_RECENT_AT = 11
export const RACK_SENT_AT = 12
export const LAST_SENT_AT = 13
export const LAST_RECEIVED_AT = 14
export const LAST_DATA_RECEIVED_AT = 15
export const LAST_ACK_RECEIVED_AT = 16
export const UNACKED_SINCE = 17
export const INVALID_ACK_AT = 18
export const TUNE_AT = 19
export const MEASURE_AT = 20
export const PACED_UNTIL = 21

/** What the array of a new connection holds: no timer runs, and nothing happened yet. */
export const FRESH: readonly Micros[] = Array.from({ length: PACED_UNTIL + 1 }, (_, index) => firstInstant(index))

function firstInstant(index: number): Micros {
  if (index < DEADLINES) return NEVER
  switch (index) {
    case DEADLINE_AT:
    case SCHEDULED_AT:
    case UNACKED_SINCE:
    case INVALID_ACK_AT:
      return NEVER
    case RACK_SENT_AT:
      return -1 as Micros
    default:
      return 0 as Micros
  }
}

/** Deadlines; NEVER where a timer is off. timers.ts arms them, and does what is due. */
export class Timers {
  private readonly at: Micros[]

  constructor(instants: Micros[]) {
    this.at = instants
  }

  get retransmitAt(): Micros {
    return this.at[RETRANSMIT_AT]!
  }

  set retransmitAt(at: Micros) {
    this.at[RETRANSMIT_AT] = at
  }

  /** Tail loss probe (RFC 8985 §7). */
  get probeAt(): Micros {
    return this.at[PROBE_AT]!
  }

  set probeAt(at: Micros) {
    this.at[PROBE_AT] = at
  }

  /** RACK's reordering timer (RFC 8985 §6.2 step 5). */
  get reorderAt(): Micros {
    return this.at[REORDER_AT]!
  }

  set reorderAt(at: Micros) {
    this.at[REORDER_AT] = at
  }

  get persistAt(): Micros {
    return this.at[PERSIST_AT]!
  }

  set persistAt(at: Micros) {
    this.at[PERSIST_AT] = at
  }

  get delayedAckAt(): Micros {
    return this.at[DELAYED_ACK_AT]!
  }

  set delayedAckAt(at: Micros) {
    this.at[DELAYED_ACK_AT] = at
  }

  get keepAliveAt(): Micros {
    return this.at[KEEP_ALIVE_AT]!
  }

  set keepAliveAt(at: Micros) {
    this.at[KEEP_ALIVE_AT] = at
  }

  /** TIME-WAIT, and FIN-WAIT-2 of a socket that nobody holds any more. */
  get timeWaitAt(): Micros {
    return this.at[TIME_WAIT_AT]!
  }

  set timeWaitAt(at: Micros) {
    this.at[TIME_WAIT_AT] = at
  }

  /** Sending again what the path had no room for. */
  get resumeAt(): Micros {
    return this.at[RESUME_AT]!
  }

  set resumeAt(at: Micros) {
    this.at[RESUME_AT] = at
  }

  /** Sending what the pacing rate held back. */
  get paceAt(): Micros {
    return this.at[PACE_AT]!
  }

  set paceAt(at: Micros) {
    this.at[PACE_AT] = at
  }

  least(): Micros {
    const { at } = this
    let least = NEVER
    for (let index = 0; index < DEADLINES; index++) if (at[index]! < least) least = at[index]!
    return least
  }

  clear(): void {
    this.at.fill(NEVER, 0, DEADLINES)
  }
}
