// HalfSipHash-2-4 (Aumasson, Bernstein): a keyed 32-bit hash over 32-bit words. Hash tables that a peer can
// fill use it, and so do port and sequence number selection (RFC 6056, RFC 6528).

import type { Random } from './random.ts'

export class KeyedHash {
  private readonly k0: number
  private readonly k1: number
  private v0 = 0
  private v1 = 0
  private v2 = 0
  private v3 = 0
  private words = 0

  constructor(random: Random) {
    this.k0 = random.u32() | 0
    this.k1 = random.u32() | 0
  }

  /** Begins a hash. Follow with word() for each 32-bit word, then finish(). */
  begin(): this {
    this.v0 = this.k0
    this.v1 = this.k1
    this.v2 = 0x6c79_6765 ^ this.k0
    this.v3 = 0x7465_6462 ^ this.k1
    this.words = 0
    return this
  }

  word(value: number): this {
    this.v3 ^= value
    this.round()
    this.round()
    this.v0 ^= value
    this.words++
    return this
  }

  /** The hash as an int32. */
  finish(): number {
    const last = (this.words * 4) << 24
    this.v3 ^= last
    this.round()
    this.round()
    this.v0 ^= last
    this.v2 ^= 0xff
    for (let count = 0; count < 4; count++) this.round()
    return this.v1 ^ this.v3
  }

  private round(): void {
    let { v0, v1, v2, v3 } = this
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
    this.v0 = v0
    this.v1 = v1
    this.v2 = v2
    this.v3 = v3
  }
}
