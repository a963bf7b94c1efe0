// IGMP: queries of versions 1 to 3 are read, reports of every version are written (RFC 1112 appendix I, RFC 2236,
// RFC 3376). Also what IGMPv3 and MLDv2 share: group records and the floating-point response code.
//
//   | type | max response | checksum | group |                                       8 bytes: v1, v2, and the
//   | S QRV | QQIC | sources | source ...    |                                       rest of a v3 query
//   | 0x22 | 0 | checksum | 0 | records | [ type | aux | sources | group | source ... ] ...   v3 report

import type { Drop } from '../counters.ts'
import { type Micros, millis } from '../time.ts'
import { IpAddress } from './address.ts'
import { complement, fold, type Octets, sumOctets } from './checksum.ts'

export const IGMP_HEADER = 8
export const IGMPV3_QUERY_HEADER = 12
export const IGMP_QUERY = 0x11
export const IGMPV1_REPORT = 0x12
export const IGMPV2_REPORT = 0x16
export const IGMPV2_LEAVE = 0x17
export const IGMPV3_REPORT = 0x22

/** Types of group records (RFC 3376 §4.2.12, RFC 3810 §5.2.12). */
export const MODE_IS_INCLUDE = 1
export const MODE_IS_EXCLUDE = 2
export const CHANGE_TO_INCLUDE = 3
export const CHANGE_TO_EXCLUDE = 4
export const ALLOW_NEW_SOURCES = 5
export const BLOCK_OLD_SOURCES = 6

/** Of a record, ahead of the group's address. */
export const GROUP_RECORD_HEADER = 4

/** RFC 2236 §4: what a version 1 query means, in tenths of a second. */
const V1_RESPONSE_TENTHS = 100

export const igmpType = (view: DataView, at: number): number => view.getUint8(at)
export const igmpGroup = (view: DataView, at: number): IpAddress => IpAddress.read4(view, at + 4)

/** Undefined when `length` linear bytes are an IGMP message with a good checksum and, if a query, of a known shape. */
export function checkIgmp(octets: Octets, at: number, length: number): Drop | undefined {
  if (length < IGMP_HEADER) return 'multicastMalformed'
  if (fold(sumOctets(octets, at, length)) !== 0xffff) return 'multicastMalformed'
  if (igmpType(octets.view, at) !== IGMP_QUERY || length === IGMP_HEADER) return undefined
  // RFC 3376 §7.1: a query that is neither 8 bytes long nor at least 12 is ignored.
  if (length < IGMPV3_QUERY_HEADER) return 'multicastMalformed'
  const sources = octets.view.getUint16(at + 10)
  return IGMPV3_QUERY_HEADER + 4 * sources > length ? 'multicastMalformed' : undefined
}

export interface MulticastQuery {
  /** Of IGMP (1 to 3) or of MLD (1, 2). */
  version: number
  /** Unspecified: a general query. */
  group: IpAddress
  maxResponse: Micros
  /** From here on 0 in versions that do not say. */
  robustness: number
  /** In seconds. */
  queryInterval: number
  /** Above 0: a query for these sources of the group (querySource). */
  sourceCount: number
}

/** The query that `length` checked bytes hold. */
export function readIgmpQuery(view: DataView, at: number, length: number): MulticastQuery {
  const code = view.getUint8(at + 1)
  const version = length > IGMP_HEADER ? 3 : code === 0 ? 1 : 2
  const tenths = version === 3 ? floatingCode8(code) : version === 1 ? V1_RESPONSE_TENTHS : code
  return {
    version,
    group: igmpGroup(view, at),
    maxResponse: millis(tenths * 100),
    robustness: version === 3 ? view.getUint8(at + 8) & 7 : 0,
    queryInterval: version === 3 ? floatingCode8(view.getUint8(at + 9)) : 0,
    sourceCount: version === 3 ? view.getUint16(at + 10) : 0,
  }
}

export const igmpQuerySource = (view: DataView, at: number, index: number): IpAddress =>
  IpAddress.read4(view, at + IGMPV3_QUERY_HEADER + 4 * index)

/** RFC 3376 §4.1.1: from 128 on, three bits of exponent and four of mantissa. */
export const floatingCode8 = (code: number): number =>
  code < 0x80 ? code : ((code & 0xf) | 0x10) << (((code >>> 4) & 7) + 3)

/** A version 1 or 2 query, report or leave. `maxResponseTenths` is 0 in all but version 2 queries. */
export function emitIgmp(octets: Octets, at: number, type: number, group: IpAddress, maxResponseTenths = 0): number {
  octets.view.setUint8(at, type)
  octets.view.setUint8(at + 1, maxResponseTenths)
  group.writeTo(octets.view, at + 4)
  return completeIgmp(octets, at, IGMP_HEADER)
}

export interface GroupRecord {
  type: number
  group: IpAddress
  sources: readonly IpAddress[]
}

export function emitIgmpV3Report(octets: Octets, at: number, records: readonly GroupRecord[]): number {
  const { view } = octets
  view.setUint8(at, IGMPV3_REPORT)
  view.setUint8(at + 1, 0)
  view.setUint16(at + 4, 0)
  view.setUint16(at + 6, records.length)
  return completeIgmp(octets, at, IGMP_HEADER + emitGroupRecords(view, at + IGMP_HEADER, records))
}

function completeIgmp(octets: Octets, at: number, length: number): number {
  octets.view.setUint16(at + 2, 0)
  octets.view.setUint16(at + 2, complement(sumOctets(octets, at, length)))
  return length
}

/** How many bytes these records take, in either family. */
export function groupRecordsLength(records: readonly GroupRecord[]): number {
  let length = 0
  for (const record of records) {
    length += GROUP_RECORD_HEADER + record.group.size * (1 + record.sources.length)
  }
  return length
}

/** Returns the length. */
export function emitGroupRecords(view: DataView, at: number, records: readonly GroupRecord[]): number {
  let next = at
  for (const record of records) {
    view.setUint8(next, record.type)
    view.setUint8(next + 1, 0)
    view.setUint16(next + 2, record.sources.length)
    record.group.writeTo(view, next + GROUP_RECORD_HEADER)
    next += GROUP_RECORD_HEADER + record.group.size
    for (const source of record.sources) {
      source.writeTo(view, next)
      next += source.size
    }
  }
  return next - at
}

/** The group records of a report of `addressSize` bytes an address, from `at` on; null when they do not fit before `end`. */
export function readGroupRecords(
  view: DataView,
  at: number,
  end: number,
  count: number,
  addressSize: number,
): GroupRecord[] | null {
  const read = addressSize === 4 ? IpAddress.read4 : IpAddress.read6
  const records: GroupRecord[] = []
  let next = at
  for (let index = 0; index < count; index++) {
    if (next + GROUP_RECORD_HEADER + addressSize > end) return null
    const sourceCount = view.getUint16(next + 2)
    const auxiliaryBytes = view.getUint8(next + 1) * 4
    const sourcesAt = next + GROUP_RECORD_HEADER + addressSize
    const recordEnd = sourcesAt + sourceCount * addressSize + auxiliaryBytes
    if (recordEnd > end) return null
    const sources: IpAddress[] = []
    for (let source = 0; source < sourceCount; source++) sources.push(read(view, sourcesAt + source * addressSize))
    records.push({ type: view.getUint8(next), group: read(view, next + GROUP_RECORD_HEADER), sources })
    next = recordEnd
  }
  return records
}
