import { isIP } from 'node:net'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  ALL_NODES6,
  BROADCAST4,
  commonPrefixLength,
  IpAddress,
  IpPrefix,
  LOOPBACK6,
  masked,
  solicitedNode,
} from '../../src/wire/address.ts'
import { multicastMac } from '../../src/wire/ethernet.ts'
import { octetsOf } from './frames.ts'

const word = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff })
/** Words with many zeros, so that runs of zero groups occur. */
const sparseWord = fc.oneof(word, fc.constant(0), fc.integer({ min: 0, max: 0xffff }), fc.constant(0x0001_0000))
const address4 = word.map((value) => IpAddress.v4(value))
const address6 = fc
  .tuple(sparseWord, sparseWord, sparseWord, sparseWord)
  .map(([w0, w1, w2, w3]) => new IpAddress(6, w0, w1, w2, w3))
const address = fc.oneof(address4, address6)

test.each([
  // RFC 4291 §2.2
  ['ABCD:EF01:2345:6789:ABCD:EF01:2345:6789', 'abcd:ef01:2345:6789:abcd:ef01:2345:6789'],
  ['2001:DB8:0:0:8:800:200C:417A', '2001:db8::8:800:200c:417a'],
  ['FF01:0:0:0:0:0:0:101', 'ff01::101'],
  ['0:0:0:0:0:0:0:1', '::1'],
  ['0:0:0:0:0:0:0:0', '::'],
  ['0:0:0:0:0:0:13.1.68.3', '::d01:4403'],
  ['0:0:0:0:0:FFFF:129.144.52.38', '::ffff:129.144.52.38'],
  ['::13.1.68.3', '::d01:4403'],
  // RFC 5952 §4
  ['2001:0db8::0001', '2001:db8::1'],
  ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['2001:DB8::AAAA', '2001:db8::aaaa'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
  ['1::', '1::'],
])('%s is printed as %s (RFC 4291 §2.2, RFC 5952 §4)', (text, canonical) => {
  expect(IpAddress.from(text).toString()).toBe(canonical)
})

test.each([
  '',
  ':',
  ':::',
  '1::2::3',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4:5:6:7:8::',
  '12345::',
  'g::',
  '::1.2.3',
  '::1.2.3.4:5',
  '1.2.3.4::',
  '1:2:3:4:5:6:7:1.2.3.4',
  ' ::1',
  '::1 ',
  '1.2.3',
  '1.2.3.4.5',
  '256.1.1.1',
  '01.2.3.4',
  '1.2.3.-4',
  '1.2.3.4 ',
  '1..2.3',
  '0x1.2.3.4',
  '1e1.2.3.4',
])('%j names no address', (text) => {
  expect(IpAddress.parse(text)).toBeNull()
  expect(isIP(text)).toBe(0)
})

test('parse undoes print, for every address', () => {
  fc.assert(
    fc.property(address, (value) => {
      const parsed = IpAddress.parse(value.toString())
      expect(parsed?.equals(value), value.toString()).toBe(true)
      expect(parsed?.hash).toBe(value.hash)
      expect(isIP(value.toString())).toBe(value.family)
    }),
    { numRuns: 1_000 },
  )
})

test('what prints alike and longest is compressed as the URL parser of Node does it (RFC 5952 §4.2)', () => {
  fc.assert(
    fc.property(address6, (value) => {
      fc.pre(!value.isMapped4)
      expect(`[${value}]`).toBe(new URL(`http://[${value}]/`).hostname)
    }),
    { numRuns: 1_000 },
  )
})

test('parse accepts what node:net calls an address and nothing else', () => {
  const noise = fc.string({ unit: fc.constantFrom(...'0123456789abcfF:::..'), maxLength: 24 })
  const edited = fc.tuple(address, fc.nat(), noise).map(([value, pick, insert]) => {
    const text = value.toString()
    const at = pick % (text.length + 1)
    return text.slice(0, at) + insert.slice(0, 2) + text.slice(at + (pick % 3))
  })
  fc.assert(
    fc.property(fc.oneof(noise, edited), (text) => {
      expect(IpAddress.parse(text)?.family ?? 0, text).toBe(isIP(text))
    }),
    { numRuns: 5_000 },
  )
})

test('read undoes writeTo, at any place', () => {
  fc.assert(
    fc.property(address, fc.nat({ max: 9 }), (value, at) => {
      const { view } = octetsOf(32)
      value.writeTo(view, at)
      const read = value.family === 4 ? IpAddress.read4(view, at) : IpAddress.read6(view, at)
      expect(read.equals(value)).toBe(true)
    }),
  )
})

test('the kinds of addresses are told by their prefixes (RFC 4291 §2.4, RFC 6890)', () => {
  const is = (text: string) => IpAddress.from(text)
  expect(is('127.9.9.9').isLoopback && LOOPBACK6.isLoopback).toBe(true)
  expect(is('::2').isLoopback || is('128.0.0.1').isLoopback).toBe(false)
  expect(is('::').isUnspecified && is('0.0.0.0').isUnspecified).toBe(true)
  expect(is('239.255.255.255').isMulticast && is('224.0.0.0').isMulticast && is('ff02::1').isMulticast).toBe(true)
  expect(is('240.0.0.0').isMulticast || is('223.255.255.255').isMulticast || is('fe80::').isMulticast).toBe(false)
  expect(is('169.254.0.1').isLinkLocal && is('febf::1').isLinkLocal).toBe(true)
  expect(is('fec0::1').isLinkLocal || is('169.255.0.1').isLinkLocal).toBe(false)
  expect(is('fc00::1').isUniqueLocal && is('fdff::').isUniqueLocal && !is('fe00::').isUniqueLocal).toBe(true)
  expect(is('::ffff:1.2.3.4').isMapped4 && is('::ffff:1.2.3.4').unmapped().toString() === '1.2.3.4').toBe(true)
  expect(is('240.0.0.1').isReserved4 && BROADCAST4.isReserved4 && BROADCAST4.isLimitedBroadcast).toBe(true)
  expect(is('0.1.2.3').isThisNetwork4).toBe(true)
  expect(
    ['ff02::1', 'ff05::1', 'ff0e::1', 'fe80::1', 'fec0::1', '::1', '2001:db8::1', '10.0.0.1', '169.254.1.1'].map(
      (text) => is(text).scope,
    ),
  ).toEqual([2, 5, 14, 2, 5, 2, 14, 14, 2])
})

test('the sum of an address is that of its 16-bit words', () => {
  expect(IpAddress.from('1.2.3.4').sum).toBe(0x0102 + 0x0304)
  expect(IpAddress.from('1:2:3:4:5:6:7:ffff').sum).toBe(28 + 0xffff)
})

test('the solicited-node group of RFC 4291 §2.7.1, and the frames that carry groups (RFC 1112 §6.4, RFC 2464 §7)', () => {
  const group = solicitedNode(IpAddress.from('4037::1:800:200e:8c6c'))
  expect(group.toString()).toBe('ff02::1:ff0e:8c6c')
  expect(multicastMac(group).toString()).toBe('33:33:ff:0e:8c:6c')
  expect(multicastMac(ALL_NODES6).toString()).toBe('33:33:00:00:00:01')
  expect(multicastMac(IpAddress.from('239.129.2.3')).toString()).toBe('01:00:5e:01:02:03')
})

test('a prefix contains just the addresses that share its bits', () => {
  fc.assert(
    fc.property(address, fc.nat({ max: 128 }), fc.nat({ max: 127 }), (value, bits, flip) => {
      const width = value.size * 8
      const length = bits % (width + 1)
      const bit = flip % width
      const other = flipped(value, bit)
      const prefix = new IpPrefix(value, length)
      expect(prefix.contains(value)).toBe(true)
      expect(prefix.contains(other)).toBe(bit >= length)
      expect(commonPrefixLength(value, other)).toBe(bit)
      expect(prefix.network.contains(value)).toBe(true)
      expect(masked(other, length).equals(masked(value, length))).toBe(bit >= length)
      expect(IpPrefix.from(prefix.toString()).toString()).toBe(prefix.toString())
    }),
  )
})

test('a prefix of one family contains no address of the other', () => {
  expect(IpPrefix.from('::/0').contains(IpAddress.from('1.2.3.4'))).toBe(false)
  expect(IpPrefix.from('0.0.0.0/0').contains(IpAddress.from('::'))).toBe(false)
})

test('the directed broadcast ends at /30 (RFC 3021)', () => {
  expect(IpPrefix.from('10.1.2.3/24').broadcast?.toString()).toBe('10.1.2.255')
  expect(IpPrefix.from('10.1.2.3/0').broadcast?.toString()).toBe('255.255.255.255')
  expect(IpPrefix.from('10.1.2.1/30').broadcast?.toString()).toBe('10.1.2.3')
  expect(IpPrefix.from('10.1.2.1/31').broadcast).toBeNull()
  expect(IpPrefix.from('fd00::/64').broadcast).toBeNull()
})

test.each(['10.0.0.1/33', '::/129', '10.0.0.1/', '10.0.0.1/-1', '10.0.0.1/1x', 'x/1', '/8'])(
  '%s is no prefix',
  (text) => {
    expect(() => IpPrefix.from(text)).toThrow('is not an address with a prefix length')
  },
)

function flipped(value: IpAddress, bit: number): IpAddress {
  const words = [value.w0, value.w1, value.w2, value.w3]
  const index = value.family === 4 ? 3 : bit >>> 5
  words[index] = words[index]! ^ (1 << (31 - (bit & 31)))
  return new IpAddress(value.family, words[0]!, words[1]!, words[2]!, words[3]!)
}
