import { describe, expect, it } from 'vitest'
import { TokenBucket } from '../../src/link/token-bucket.ts'
import { micros } from '../../src/time.ts'

describe('TokenBucket', () => {
  it('never holds more than its size, however long it was left alone', () => {
    const bucket = new TokenBucket(8_000_000, 1_500, micros(0))
    expect(bucket.take(1_500, micros(1_000_000_000))).toBe(true)
    expect(bucket.take(1, micros(1_000_000_000))).toBe(false)
    expect(bucket.take(1, micros(1_000_000_001))).toBe(true)
  })

  it('says the first whole microsecond at which the tokens are there, and loses no fraction in between', () => {
    // 3 bytes need 24 bits: 8 us at 3 Mbit/s; 1 byte needs 8/3 us.
    const bucket = new TokenBucket(3_000_000, 1, micros(0))
    const instants = [1, 1, 1, 1].map((bytes) => bucket.reserve(bytes, micros(0)))
    expect(instants).toEqual([0, 3, 6, 8])
    expect(bucket.take(1, micros(10))).toBe(false)
    expect(bucket.take(1, micros(11))).toBe(true)
  })
})
