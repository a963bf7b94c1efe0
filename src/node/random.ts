// Randomness from the system's generator, fetched a block at a time: a call into crypto for each word would
// cost a thousand times what the word does.

import { randomFillSync } from 'node:crypto'
import { assert } from '../assert.ts'
import { type Random, scaleBelow } from '../random.ts'

const BLOCK_WORDS = 1_024

export class CryptoRandom implements Random {
  private readonly block = new Uint32Array(BLOCK_WORDS)
  private used = BLOCK_WORDS

  u32(): number {
    if (this.used === BLOCK_WORDS) {
      randomFillSync(this.block)
      this.used = 0
    }
    const word = this.block[this.used]!
    // A word that was handed out must not be found in memory later: keys and sequence numbers are made of them.
    this.block[this.used++] = 0
    return word
  }

  below(limit: number): number {
    assert(limit >= 1 && limit <= 0x1_0000_0000, 'limit out of range')
    return scaleBelow(this.u32(), limit)
  }
}
