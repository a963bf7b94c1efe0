// Randomness is a constructor argument. Tests and worlds inject a SeededRandom and print its seed; Node
// injects buffered crypto (src/node/random.ts).

import { assert } from './assert.ts'

export interface Random {
  /** Uniform over the unsigned 32-bit integers. */
  u32(): number
  /** Uniform over the integers 0 .. limit - 1; 1 <= limit <= 2^32. */
  below(limit: number): number
}

/** A double in [0, 1) with 32 random bits. */
export const fraction = (random: Random): number => random.u32() / 0x1_0000_0000

/** True with the given probability; draws nothing where the answer is certain, so an unused knob changes no replay. */
export const chance = (random: Random, probability: number): boolean =>
  probability > 0 && (probability >= 1 || fraction(random) < probability)

/** Scales a random word to 0 .. limit - 1 by multiplication (Lemire), off by at most limit / 2^32. */
export const scaleBelow = (word: number, limit: number): number => Math.floor((word * limit) / 0x1_0000_0000)

/** The sfc32 generator: 128 bits of state, the same sequence for the same seed on every machine. */
export class SeededRandom implements Random {
  readonly seed: number
  private a: number
  private b: number
  private c: number
  private counter: number

  constructor(seed: number) {
    this.seed = seed
    this.a = 0x9e37_79b9 | 0
    this.b = Math.floor(seed / 0x1_0000_0000) | 0
    this.c = seed | 0
    this.counter = 1
    for (let round = 0; round < 12; round++) this.u32()
  }

  u32(): number {
    const sum = (((this.a + this.b) | 0) + this.counter) | 0
    this.counter = (this.counter + 1) | 0
    this.a = this.b ^ (this.b >>> 9)
    this.b = (this.c + (this.c << 3)) | 0
    this.c = (((this.c << 21) | (this.c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  below(limit: number): number {
    assert(limit >= 1 && limit <= 0x1_0000_0000, 'limit out of range')
    return scaleBelow(this.u32(), limit)
  }

  /** A generator of its own for one part of a world, so that a change in one part does not shift the draws of another. */
  fork(label: string): SeededRandom {
    let hash = this.seed | 0
    for (let index = 0; index < label.length; index++) hash = (Math.imul(hash, 31) + label.charCodeAt(index)) | 0
    return new SeededRandom((hash >>> 0) + (this.seed % 0x1f_ffff) * 0x1_0000_0000)
  }
}
