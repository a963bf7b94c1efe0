// SYN cookies (RFC 4987 §3.6): when a listener's SYN queue is full, the SYN, ACK's sequence number stands for the
// entry that was not made, and the final ACK brings it back. Window scale and SACK come back in the low bits of
// our time stamp, where the peer uses time stamps.
//
//   cookie:  | count 5 | MSS index 3 | keyed hash of addresses, ports, peer's ISN, count 24 |
//   stamp:   | milliseconds, low 6 bits replaced by: | SACK 1 | window scale 4, 15: none | 1 spare |

import { KeyedHash } from '../keyed-hash.ts'
import type { Random } from '../random.ts'
import type { Micros } from '../time.ts'
import type { IpAddress } from '../wire/address.ts'
import { type Seq, seq } from '../wire/sequence.ts'

/** Common values; a peer's is rounded down to one of them. */
const MSS_TABLE = [216, 536, 1_200, 1_220, 1_360, 1_440, 1_452, 1_460] as const
/** A cookie is good for one to two of these. */
const COUNT_MICROS = 64_000_000
const OPTION_BITS = 6
const NO_WINDOW_SCALE = 15

export interface CookieOptions {
  readonly windowScale: number
  readonly sackPermitted: boolean
}

export class SynCookies {
  private readonly hash: KeyedHash

  constructor(random: Random) {
    this.hash = new KeyedHash(random)
  }

  /** The initial sequence number that stands for this SYN. */
  make(
    local: IpAddress,
    localPort: number,
    remote: IpAddress,
    remotePort: number,
    irs: Seq,
    mss: number,
    now: Micros,
  ): Seq {
    let index = 0
    while (index + 1 < MSS_TABLE.length && MSS_TABLE[index + 1]! <= mss) index++
    const count = countAt(now)
    const digest = this.digest(local, localPort, remote, remotePort, irs, count)
    return seq(((count & 31) << 27) | (index << 24) | (digest & 0xff_ffff))
  }

  /** The MSS that the cookie holds; 0: it is none of ours, or too old. */
  check(
    local: IpAddress,
    localPort: number,
    remote: IpAddress,
    remotePort: number,
    irs: Seq,
    cookie: Seq,
    now: Micros,
  ): number {
    for (let age = 0; age <= 1; age++) {
      const count = countAt(now) - age
      if (count < 0 || (count & 31) !== cookie >>> 27) continue
      const digest = this.digest(local, localPort, remote, remotePort, irs, count)
      if ((digest & 0xff_ffff) === (cookie & 0xff_ffff)) return MSS_TABLE[(cookie >>> 24) & 7]!
    }
    return 0
  }

  private digest(
    local: IpAddress,
    localPort: number,
    remote: IpAddress,
    remotePort: number,
    irs: Seq,
    count: number,
  ): number {
    const hash = this.hash.begin()
    hash.word(local.w0).word(local.w1).word(local.w2).word(local.w3)
    hash.word(remote.w0).word(remote.w1).word(remote.w2).word(remote.w3)
    return hash
      .word((localPort << 16) | remotePort)
      .word(irs)
      .word(count)
      .finish()
  }
}

const countAt = (now: Micros): number => Math.floor(now / COUNT_MICROS)

/** The time stamp that carries the peer's options. It is never ahead of the clock. */
export function stampWithOptions(stamp: number, options: CookieOptions): number {
  const scale = options.windowScale < 0 ? NO_WINDOW_SCALE : options.windowScale
  const bits = (options.sackPermitted ? 32 : 0) | (scale << 1)
  const base = stamp & ~((1 << OPTION_BITS) - 1)
  const withBits = base | bits
  return ((withBits - stamp) | 0) > 0 ? (withBits - (1 << OPTION_BITS)) | 0 : withBits
}

/** What the time stamp that came back carries. */
export function optionsOfStamp(stamp: number): CookieOptions {
  const scale = (stamp >>> 1) & 15
  return { windowScale: scale === NO_WINDOW_SCALE ? -1 : scale, sackPermitted: (stamp & 32) !== 0 }
}
