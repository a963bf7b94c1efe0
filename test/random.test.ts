import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chance, fraction, type Random, SeededRandom, scaleBelow } from '../src/random.ts'

const draw = (random: Random, count: number): number[] => Array.from({ length: count }, () => random.u32())

/** Chi-squared over equal cells; below the bound with a chance of about 1 - 1e-5 for 255 degrees of freedom. */
const chiSquared = (counts: number[], total: number): number => {
  const expected = total / counts.length
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
}
const CHI_SQUARED_255 = 358

describe('SeededRandom', () => {
  it('repeats its sequence for a seed, and has another for another', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.maxSafeNat(), (seed, other) => {
        expect(draw(new SeededRandom(seed), 8)).toEqual(draw(new SeededRandom(seed), 8))
        if (seed !== other) expect(draw(new SeededRandom(other), 8)).not.toEqual(draw(new SeededRandom(seed), 8))
      }),
    )
  })

  it.each([0, 1, 2 ** 32, 20_240_229])('is uniform in each of its four bytes (seed %i)', (seed) => {
    const random = new SeededRandom(seed)
    const counts = [0, 8, 16, 24].map(() => new Array<number>(256).fill(0))
    for (let index = 0; index < 100_000; index++) {
      const word = random.u32()
      if (word !== word >>> 0) throw new Error(`${word} is no unsigned 32-bit integer`)
      for (let byte = 0; byte < 4; byte++) counts[byte]![(word >>> (byte * 8)) & 0xff]!++
    }
    for (const cells of counts) expect(chiSquared(cells, 100_000)).toBeLessThan(CHI_SQUARED_255)
  })

  it('draws below a limit uniformly, its ends included', () => {
    const random = new SeededRandom(7)
    const counts = new Array<number>(256).fill(0)
    for (let index = 0; index < 100_000; index++) counts[random.below(256)]!++
    expect(chiSquared(counts, 100_000)).toBeLessThan(CHI_SQUARED_255)
    expect(random.below(1)).toBe(0)
    expect(() => random.below(0)).toThrow('limit')
    expect(() => random.below(2 ** 32 + 1)).toThrow('limit')
  })

  it('forks generators that depend on the label and the seed, and on nothing drawn in between', () => {
    const parent = new SeededRandom(99)
    const first = draw(parent.fork('loss'), 8)
    draw(parent, 100)
    expect(draw(parent.fork('loss'), 8)).toEqual(first)
    expect(draw(parent.fork('delay'), 8)).not.toEqual(first)
    expect(draw(new SeededRandom(100).fork('loss'), 8)).not.toEqual(first)
  })
})

describe('scaleBelow', () => {
  it('maps the ends of the words to the ends of the range', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 32 }), (limit) => {
        expect(scaleBelow(0, limit)).toBe(0)
        expect(scaleBelow(0xffff_ffff, limit)).toBe(limit - 1)
      }),
    )
  })
})

describe('chance', () => {
  it('draws nothing where the answer is certain, and one word where it is not', () => {
    const random = new SeededRandom(3)
    const twin = new SeededRandom(3)
    expect([chance(random, 0), chance(random, 1)]).toEqual([false, true])
    expect(random.u32()).toBe(twin.u32())
    chance(random, 0.5)
    twin.u32()
    expect(random.u32()).toBe(twin.u32())
  })

  it('is true as often as it says, within five standard deviations', () => {
    const random = new SeededRandom(11)
    let hits = 0
    for (let index = 0; index < 100_000; index++) if (chance(random, 0.03)) hits++
    expect(Math.abs(hits - 3_000)).toBeLessThan(5 * Math.sqrt(100_000 * 0.03 * 0.97))
  })

  it('compares with a fraction that is never 1', () => {
    expect(fraction({ u32: () => 0xffff_ffff, below: () => 0 })).toBeLessThan(1)
  })
})
