import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  seq,
  seqAdd,
  seqAfter,
  seqAtLeast,
  seqAtMost,
  seqBefore,
  seqDiff,
  seqInWindow,
  seqIsNewAck,
  seqMax,
  seqMin,
  seqText,
} from '../../src/wire/sequence.ts'

const sequence = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }).map(seq)
const distance = fc.integer({ min: -0x7fff_ffff, max: 0x7fff_ffff })
const TWO_32 = 2n ** 32n

test('the difference undoes the sum, across every wrap (RFC 9293 §3.4)', () => {
  fc.assert(
    fc.property(sequence, distance, (a, bytes) => {
      const b = seqAdd(a, bytes)
      expect(seqDiff(b, a)).toBe(bytes)
      expect(BigInt(b >>> 0)).toBe((((BigInt(a >>> 0) + BigInt(bytes)) % TWO_32) + TWO_32) % TWO_32)
    }),
    { numRuns: 1_000 },
  )
})

test('the order of two numbers is that of their distance', () => {
  fc.assert(
    fc.property(sequence, distance, (a, bytes) => {
      const b = seqAdd(a, bytes)
      expect([seqBefore(a, b), seqAfter(a, b)]).toEqual([bytes > 0, bytes < 0])
      expect([seqAtMost(a, b), seqAtLeast(a, b)]).toEqual([bytes >= 0, bytes <= 0])
      expect([seqMax(a, b), seqMin(a, b)]).toEqual(bytes > 0 ? [b, a] : [a, b])
    }),
    { numRuns: 1_000 },
  )
})

test('a number is in a window that begins up to length - 1 before it', () => {
  fc.assert(
    fc.property(sequence, fc.nat({ max: 0x7fff_ffff }), fc.nat({ max: 0x7fff_ffff }), (first, offset, length) => {
      expect(seqInWindow(seqAdd(first, offset), first, length)).toBe(offset < length)
      if (offset > 0) expect(seqInWindow(seqAdd(first, -offset), first, length)).toBe(false)
    }),
  )
  expect(seqInWindow(seq(5), seq(5), 0)).toBe(false)
})

test('SND.UNA < SEG.ACK =< SND.NXT across the wrap (RFC 9293 §3.4)', () => {
  const una = seq(0xffff_fff0)
  const nxt = seq(0x10)
  expect(seqIsNewAck(una, una, nxt)).toBe(false)
  expect(seqIsNewAck(seqAdd(una, 1), una, nxt)).toBe(true)
  expect(seqIsNewAck(nxt, una, nxt)).toBe(true)
  expect(seqIsNewAck(seqAdd(nxt, 1), una, nxt)).toBe(false)
})

test('numbers are printed unsigned', () => {
  expect(seqText(seq(-1))).toBe('4294967295')
})
