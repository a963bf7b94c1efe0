// The clock and the random numbers that a host of Node gives its stack.

import { describe, expect, it } from 'vitest'
import { BatchClock } from '../../src/node/clock.ts'
import { CryptoRandom } from '../../src/node/random.ts'

describe('the batch clock', () => {
  it('stands still until it is advanced, and then never goes back', () => {
    const clock = new BatchClock()
    let last = clock.advance()
    for (let round = 0; round < 1_000; round++) {
      expect(clock.now()).toBe(last)
      const next = clock.advance()
      expect(next).toBeGreaterThanOrEqual(last)
      expect(Number.isInteger(next)).toBe(true)
      last = next
    }
    expect(last).toBeGreaterThan(0)
  })

  it('tells the time of day in microseconds', () => {
    const clock = new BatchClock()
    clock.advance()
    expect(Math.abs(clock.wall() - Date.now() * 1_000)).toBeLessThan(1_000_000)
  })
})

describe('the random numbers of Node', () => {
  it('are unsigned words, different from one block to the next', () => {
    const random = new CryptoRandom()
    const seen = new Set<number>()
    for (let count = 0; count < 5_000; count++) {
      const word = random.u32()
      expect(word >>> 0).toBe(word)
      seen.add(word)
    }
    expect(seen.size).toBeGreaterThan(4_990)
  })

  it('stay below the limit, and reach every value below a small one', () => {
    const random = new CryptoRandom()
    const seen = new Set<number>()
    for (let count = 0; count < 1_000; count++) seen.add(random.below(7))
    expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5, 6])
  })
})
