import fc from 'fast-check'
import { expect, test } from 'vitest'
import { IpAddress } from '../../src/wire/address.ts'
import {
  checkIgmp,
  emitIgmp,
  emitIgmpV3Report,
  floatingCode8,
  type GroupRecord,
  groupRecordsLength,
  IGMP_QUERY,
  IGMPV2_LEAVE,
  IGMPV2_REPORT,
  igmpGroup,
  igmpQuerySource,
  igmpType,
  readGroupRecords,
  readIgmpQuery,
} from '../../src/wire/igmp.ts'
import {
  checkMldQuery,
  emitMld,
  emitMldV2Report,
  floatingCode16,
  mldGroup,
  mldQuerySource,
  readMldQuery,
} from '../../src/wire/mld.ts'
import { built, bytesOf, checksummed, hexOf, octetsFrom, octetsOf, viewOf } from './frames.ts'

const GROUP4 = IpAddress.from('239.1.2.3')
const GROUP6 = IpAddress.from('ff0e::1:2:3')
const i32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff })
const address4 = i32.map((word) => IpAddress.v4(word))
const address6 = fc.tuple(i32, i32, i32, i32).map(([a, b, c, d]) => new IpAddress(6, a, b, c, d))
const records = (address: fc.Arbitrary<IpAddress>): fc.Arbitrary<GroupRecord[]> =>
  fc.array(
    fc.record({ type: fc.integer({ min: 1, max: 6 }), group: address, sources: fc.array(address, { maxLength: 5 }) }),
    { maxLength: 6 },
  )

/** An IGMP query as read, its checksum put right first. */
function igmpQuery(hex: string) {
  const octets = octetsFrom(checksummed(bytesOf(hex), 2))
  const length = bytesOf(hex).length
  return checkIgmp(octets, 0, length) ?? readIgmpQuery(octets.view, 0, length)
}

test('a version 2 report and leave have the bytes of RFC 2236 §2', () => {
  const octets = octetsOf(8)
  expect(emitIgmp(octets, 0, IGMPV2_REPORT, GROUP4)).toBe(8)
  expect(hexOf(octets.bytes)).toBe('1600f8faef010203')
  emitIgmp(octets, 0, IGMPV2_LEAVE, GROUP4)
  expect(hexOf(octets.bytes)).toBe('1700f7faef010203')
  expect(checkIgmp(octets, 0, 8)).toBeUndefined()
  expect(igmpGroup(octets.view, 0)).toEqual(GROUP4)
})

test('the version of an IGMP query is told by its length and its code (RFC 3376 §7.1)', () => {
  const unspecified = IpAddress.v4(0)
  expect(igmpQuery('11000000 00000000')).toMatchObject({ version: 1, group: unspecified, maxResponse: 10_000_000 })
  expect(igmpQuery('11320000 ef010203')).toMatchObject({ version: 2, group: GROUP4, maxResponse: 5_000_000 })
  expect(igmpQuery('11ff0000 ef010203')).toMatchObject({ version: 2, maxResponse: 25_500_000 })
  expect(igmpQuery('11640000 00000000 0a7d0000')).toEqual({
    version: 3,
    group: unspecified,
    maxResponse: 10_000_000,
    robustness: 2,
    queryInterval: 125,
    sourceCount: 0,
  })
  for (const hex of ['11640000 00000000 02', '11640000 00000000 0200', '11640000 00000000 027d00']) {
    expect(igmpQuery(hex), hex).toBe('multicastMalformed')
  }
})

test('a query for sources holds as many as it says (RFC 3376 §4.1.8)', () => {
  const hex = '11010000 ef010203 027d0002 0a000001 0a000002'
  expect(igmpQuery(hex)).toMatchObject({ sourceCount: 2, group: GROUP4, maxResponse: 100_000 })
  expect(igmpQuerySource(viewOf(bytesOf(hex)), 0, 1).toString()).toBe('10.0.0.2')
  expect(igmpQuery('11010000 ef010203 027d0003 0a000001 0a000002')).toBe('multicastMalformed')
})

test('an IGMP message with a wrong checksum, or less than 8 bytes, is malformed', () => {
  const octets = octetsFrom(bytesOf('1600f8fbef010203'))
  expect(checkIgmp(octets, 0, 8)).toBe('multicastMalformed')
  expect(checkIgmp(octets, 0, 7)).toBe('multicastMalformed')
})

test.each([
  [0, 0],
  [1, 1],
  [127, 127],
  [128, 128],
  [129, 136],
  [0x8f, 248],
  [0x90, 256],
  [0xa4, 640],
  [0xff, 31_744],
])('the 8-bit code %i means %i (RFC 3376 §4.1.1)', (code, value) => {
  expect(floatingCode8(code)).toBe(value)
})

test.each([
  [0, 0],
  [32_767, 32_767],
  [0x8000, 32_768],
  [0x8001, 32_776],
  [0x9000, 65_536],
  [0xffff, 8_387_584],
])('the 16-bit code %i means %i (RFC 3810 §5.1.3)', (code, value) => {
  expect(floatingCode16(code)).toBe(value)
})

test('the codes never decrease', () => {
  for (let code = 1; code < 256; code++) expect(floatingCode8(code)).toBeGreaterThan(floatingCode8(code - 1))
  for (let code = 1; code < 65_536; code++) {
    if (floatingCode16(code) <= floatingCode16(code - 1)) expect.fail(`16-bit code ${code}`)
  }
})

test('a version 3 report has the bytes of RFC 3376 §4.2', () => {
  const octets = octetsOf(64)
  const length = emitIgmpV3Report(octets, 0, [
    { type: 4, group: GROUP4, sources: [] },
    { type: 1, group: GROUP4, sources: [IpAddress.from('10.0.0.1')] },
  ])
  expect(hexOf(octets.bytes.subarray(0, length)).replace(/^(....)..../, '$1cccc')).toBe(
    '2200cccc00000002' + '04000000ef010203' + '01000001ef0102030a000001',
  )
  expect(checkIgmp(octets, 0, length)).toBeUndefined()
})

test('reading undoes writing: group records of IGMPv3 and MLDv2', () => {
  fc.assert(
    fc.property(records(address4), (list) => {
      const octets = octetsOf(1_024)
      const length = emitIgmpV3Report(octets, 0, list)
      expect(length).toBe(8 + groupRecordsLength(list))
      expect(checkIgmp(octets, 0, length)).toBeUndefined()
      expect([igmpType(octets.view, 0), octets.view.getUint16(6)]).toEqual([0x22, list.length])
      expect(readGroupRecords(octets.view, 8, length, list.length, 4)).toEqual(list)
      if (list.length > 0) expect(readGroupRecords(octets.view, 8, length - 1, list.length, 4)).toBeNull()
    }),
  )
  fc.assert(
    fc.property(records(address6), (list) => {
      const bytes = built((view) => emitMldV2Report(view, 0, list))
      expect(bytes.length).toBe(8 + groupRecordsLength(list))
      expect([bytes[0], viewOf(bytes).getUint16(6)]).toEqual([143, list.length])
      expect(readGroupRecords(viewOf(bytes), 8, bytes.length, list.length, 16)).toEqual(list)
    }),
  )
})

test('auxiliary data of a group record is skipped (RFC 3376 §4.2.10)', () => {
  const bytes = bytesOf('04010000ef010203deadbeef' + '01000001ef0102030a000001')
  expect(readGroupRecords(viewOf(bytes), 0, bytes.length, 2, 4)).toEqual([
    { type: 4, group: GROUP4, sources: [] },
    { type: 1, group: GROUP4, sources: [IpAddress.from('10.0.0.1')] },
  ])
})

test('MLD queries of both versions are read (RFC 2710 §3, RFC 3810 §5.1)', () => {
  const first = viewOf(built((view) => emitMld(view, 0, 130, GROUP6, 40_000)))
  expect(checkMldQuery(first, 0, 24)).toBeUndefined()
  expect(mldGroup(first, 0)).toEqual(GROUP6)
  expect(readMldQuery(first, 0, 24)).toMatchObject({
    version: 1,
    group: GROUP6,
    maxResponse: 40_000_000,
    sourceCount: 0,
  })
  const second = viewOf(
    built((view) => {
      emitMld(view, 0, 130, GROUP6, 0x8000)
      view.setUint32(24, 0x027d_0001)
      IpAddress.from('fe80::9').writeTo(view, 28)
      return 44
    }),
  )
  expect(checkMldQuery(second, 0, 44)).toBeUndefined()
  expect(readMldQuery(second, 0, 44)).toEqual({
    version: 2,
    group: GROUP6,
    maxResponse: 32_768_000,
    robustness: 2,
    queryInterval: 125,
    sourceCount: 1,
  })
  expect(mldQuerySource(second, 0, 0).toString()).toBe('fe80::9')
  for (const length of [0, 23, 25, 27, 28, 43]) expect(checkMldQuery(second, 0, length)).toBe('multicastMalformed')
})

test('random bytes never make a reader of IGMP or MLD throw', () => {
  fc.assert(
    fc.property(fc.constantFrom(0x11, 0x22, 0x16), fc.uint8Array({ minLength: 1, maxLength: 60 }), (type, bytes) => {
      bytes[0] = type
      const whole = bytes.length >= 4 ? checksummed(bytes, 2) : bytes
      const view = viewOf(whole)
      if (checkIgmp(octetsFrom(whole), 0, whole.length) === undefined && type === IGMP_QUERY) {
        const query = readIgmpQuery(view, 0, whole.length)
        for (let source = 0; source < query.sourceCount; source++) igmpQuerySource(view, 0, source)
      }
      if (checkMldQuery(view, 0, whole.length) === undefined) {
        const query = readMldQuery(view, 0, whole.length)
        for (let source = 0; source < query.sourceCount; source++) mldQuerySource(view, 0, source)
      }
      if (whole.length >= 8) {
        readGroupRecords(view, 8, whole.length, view.getUint16(6), 4)
        readGroupRecords(view, 8, whole.length, view.getUint16(6), 16)
      }
    }),
    { numRuns: 3_000 },
  )
})
