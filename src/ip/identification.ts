// The Identification field of what may be fragmented (RFC 6864): one counter for each of many buckets of
// address pairs, so that no stranger can read off how much this host sends, and no pair repeats a value soon.

import { KeyedHash } from '../keyed-hash.ts'
import type { Random } from '../random.ts'
import type { IpAddress } from '../wire/address.ts'

const BUCKETS = 2_048

export class Identification {
  private readonly counters = new Uint32Array(BUCKETS)
  private readonly hash: KeyedHash

  constructor(random: Random) {
    this.hash = new KeyedHash(random)
    for (let index = 0; index < BUCKETS; index++) this.counters[index] = random.u32()
  }

  /** The next value for a pair of addresses, unsigned 32-bit; IPv4 takes the lower half. */
  next(source: IpAddress, destination: IpAddress): number {
    const hash = this.hash.begin()
    hash.word(source.w0).word(source.w1).word(source.w2).word(source.w3)
    hash.word(destination.w0).word(destination.w1).word(destination.w2).word(destination.w3)
    const bucket = hash.finish() & (BUCKETS - 1)
    const value = this.counters[bucket]! + 1
    this.counters[bucket] = value
    return value >>> 0
  }
}
