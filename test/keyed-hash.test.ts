import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { KeyedHash } from '../src/keyed-hash.ts'
import type { Random } from '../src/random.ts'

const MASK = 0xffff_ffffn
const rotate = (value: bigint, bits: bigint): bigint => ((value << bits) | (value >> (32n - bits))) & MASK

/** HalfSipHash-2-4 over bytes, as its paper puts it, on bigints. */
function naive(k0: bigint, k1: bigint, bytes: Uint8Array): bigint {
  let v = [k0, k1, 0x6c79_6765n ^ k0, 0x7465_6462n ^ k1] as [bigint, bigint, bigint, bigint]
  const round = () => {
    let [a, b, c, d] = v
    a = (a + b) & MASK
    b = rotate(b, 5n) ^ a
    a = rotate(a, 16n)
    c = (c + d) & MASK
    d = rotate(d, 8n) ^ c
    a = (a + d) & MASK
    d = rotate(d, 7n) ^ a
    c = (c + b) & MASK
    b = rotate(b, 13n) ^ c
    c = rotate(c, 16n)
    v = [a, b, c, d]
  }
  const absorb = (word: bigint) => {
    v[3] ^= word
    round()
    round()
    v[0] ^= word
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const whole = bytes.length & ~3
  for (let at = 0; at < whole; at += 4) absorb(BigInt(view.getUint32(at, true)))
  let last = BigInt(bytes.length & 0xff) << 24n
  for (let at = whole; at < bytes.length; at++) last |= BigInt(bytes[at]!) << BigInt(8 * (at - whole))
  absorb(last)
  v[2] ^= 0xffn
  for (let count = 0; count < 4; count++) round()
  return v[1] ^ v[3]
}

const keyed = (k0: number, k1: number): KeyedHash => {
  const keys = [k0, k1]
  const random: Random = { u32: () => keys.shift()!, below: () => 0 }
  return new KeyedHash(random)
}

const hash = (of: KeyedHash, words: number[]): number => {
  of.begin()
  for (const word of words) of.word(word)
  return of.finish()
}

describe('KeyedHash', () => {
  it('is HalfSipHash-2-4: the reference vector for key 00..07 and no input', () => {
    expect(hash(keyed(0x0302_0100, 0x0706_0504), []) >>> 0).toBe(0x5b9f_35a9)
    expect(naive(0x0302_0100n, 0x0706_0504n, new Uint8Array())).toBe(0x5b9f_35a9n)
  })

  it('equals an implementation on bigints for any key and words', () => {
    const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
    fc.assert(
      fc.property(u32, u32, fc.array(u32, { maxLength: 70 }), (k0, k1, words) => {
        const bytes = new Uint8Array(words.length * 4)
        words.forEach((word, index) => {
          new DataView(bytes.buffer).setUint32(index * 4, word, true)
        })
        const expected = naive(BigInt(k0), BigInt(k1), bytes)
        const one = keyed(k0, k1)
        expect(hash(one, words)).toBe(Number(expected) | 0)
        expect(hash(one, words)).toBe(Number(expected) | 0)
      }),
    )
  })

  it('takes int32 and unsigned words alike', () => {
    expect(hash(keyed(1, 2), [-1, 5])).toBe(hash(keyed(1, 2), [0xffff_ffff, 5]))
  })
})
