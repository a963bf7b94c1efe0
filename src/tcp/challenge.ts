// How often we answer what a stranger may have forged (RFC 5961 §7): so many challenges a second from the whole host,
// a number drawn anew each second, for one that never changed could be counted from outside and would tell who talks to
// whom (CVE-2016-5696); and one each half second from a connection. tcp.ts and input.ts ask.

import type { Random } from '../random.ts'
import { after, IMMEDIATELY, type Micros, millis, NEVER, seconds } from '../time.ts'
import type { Connection } from './connection.ts'

const SECOND = seconds(1)
/** Linux's tcp_invalid_ratelimit. */
const ANSWER_INTERVAL = millis(500)

/** The host's challenges. */
export class ChallengeLimit {
  private readonly random: Random
  private readonly perSecond: number
  private left = 0
  private until: Micros = IMMEDIATELY

  /** `perSecond` on average: between half of it and one and a half. */
  constructor(random: Random, perSecond: number) {
    this.random = random
    this.perSecond = perSecond
  }

  /** Takes one of this second's; false: there is none left. */
  take(now: Micros): boolean {
    if (now >= this.until) {
      this.until = after(now, SECOND)
      this.left = Math.ceil(this.perSecond / 2) + this.random.below(Math.max(1, this.perSecond))
    }
    if (this.left <= 0) return false
    this.left--
    return true
  }
}

/** Takes the ACK by which a connection may answer what does not fit it; false: it has just sent one. Nor do two hosts answer each other for ever. */
export function takeAnswer(connection: Connection, now: Micros): boolean {
  if (connection.invalidAckAt !== NEVER && now - connection.invalidAckAt < ANSWER_INTERVAL) return false
  connection.invalidAckAt = now
  return true
}
