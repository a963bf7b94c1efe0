import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addPiece, complement, fold, sumOctets, swap16, updateChecksum } from '../../src/wire/checksum.ts'
import { bytesOf, octetsFrom, octetsOf } from './frames.ts'
import { naiveChecksum } from './naive-checksum.ts'

test('the example of RFC 1071 §3 sums up to ddf2', () => {
  const octets = octetsFrom(bytesOf('0001f203f4f5f6f7'))
  expect(fold(sumOctets(octets, 0, 8)).toString(16)).toBe('ddf2')
  expect(complement(sumOctets(octets, 0, 8))).toBe(0x220d)
})

test('at every alignment and length up to 40 the checksum is that of the naive loop', () => {
  const octets = octetsOf(64)
  for (let at = 0; at < 64; at++) octets.bytes[at] = (at * 151 + 7) & 0xff
  for (let at = 0; at < 8; at++) {
    for (let length = 0; length <= 40; length++) {
      const expected = naiveChecksum(octets.bytes.subarray(at, at + length))
      expect(complement(sumOctets(octets, at, length)), `${length} bytes at ${at}`).toBe(expected)
    }
  }
})

test('random bytes anywhere have the checksum of the naive loop', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3_000 }), fc.nat({ max: 7 }), (bytes, at) => {
      const octets = octetsOf(bytes.length + 8)
      octets.bytes.fill(0xee)
      octets.bytes.set(bytes, at)
      expect(complement(sumOctets(octets, at, bytes.length))).toBe(naiveChecksum(bytes))
    }),
  )
})

test('64 KiB of ones do not overflow a sum', () => {
  const octets = octetsOf(65_536)
  octets.bytes.fill(0xff)
  expect(complement(sumOctets(octets, 0, 65_535))).toBe(naiveChecksum(octets.bytes.subarray(0, 65_535)))
})

test('the sums of pieces of any lengths add up to the sum of the whole (RFC 1071 §2)', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 8 }), (pieces) => {
      let sum = 0
      let before = 0
      const whole: number[] = []
      for (const piece of pieces) {
        sum = addPiece(sum, before, sumOctets(octetsFrom(piece), 0, piece.length))
        before += piece.length
        whole.push(...piece)
      }
      expect(complement(sum)).toBe(naiveChecksum(Uint8Array.from(whole)))
    }),
  )
})

test('the example of RFC 1624 §4: dd2f with 5555 become 3285 is 0000', () => {
  expect(updateChecksum(0xdd2f, 0x5555, 0x3285)).toBe(0)
})

test('an updated checksum verifies like one computed anew (RFC 1624)', () => {
  const words = fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 2, maxLength: 20 })
  fc.assert(
    fc.property(words, fc.nat(), fc.integer({ min: 0, max: 0xffff }), (data, pick, next) => {
      const octets = octetsOf(2 * data.length + 2)
      for (const [index, word] of data.entries()) octets.view.setUint16(2 + 2 * index, word)
      const length = 2 + 2 * data.length
      octets.view.setUint16(0, complement(sumOctets(octets, 0, length)))
      const at = 2 + 2 * (pick % data.length)
      octets.view.setUint16(0, updateChecksum(octets.view.getUint16(0), octets.view.getUint16(at), next))
      octets.view.setUint16(at, next)
      const verified = fold(sumOctets(octets, 0, length))
      // Where all is zero now, the sum is the other zero.
      expect(
        verified === 0xffff || (verified === 0 && naiveChecksum(octets.bytes.subarray(0, length)) === 0xffff),
      ).toBe(true)
    }),
  )
})

test('swap16 swaps', () => {
  expect(swap16(0x1234)).toBe(0x3412)
})
