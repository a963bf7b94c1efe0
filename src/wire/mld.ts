// MLD, which is IGMP for IPv6 inside ICMPv6: queries of both versions are read, reports of both are written
// (RFC 2710, RFC 3810). The emitters leave the checksum 0; ip/ completes it with the pseudo-header.
//
//   | ICMPv6 (4) | max response (2) | 0 (2) | group (16) |                                  version 1
//   | S QRV | QQIC | sources (2) | source (16) ... |                                        the rest of a v2 query
//   | ICMPv6 (4) | 0 (2) | records (2) | [ type | aux | sources (2) | group | source ... ]  version 2 report

import type { Drop } from '../counters.ts'
import { millis } from '../time.ts'
import { IpAddress } from './address.ts'
import { emitIcmp } from './icmp4.ts'
import { ICMP6_MLDV2_REPORT } from './icmp6.ts'
import { emitGroupRecords, floatingCode8, type GroupRecord, type MulticastQuery } from './igmp.ts'

export const MLD_HEADER = 24
export const MLDV2_QUERY_HEADER = 28
export const MLDV2_REPORT_HEADER = 8

export const mldGroup = (view: DataView, at: number): IpAddress => IpAddress.read6(view, at + 8)

/** Undefined when `length` linear bytes are a query of a known shape (RFC 3810 §8.1); the checksum is the caller's. */
export function checkMldQuery(view: DataView, at: number, length: number): Drop | undefined {
  if (length === MLD_HEADER) return undefined
  if (length < MLDV2_QUERY_HEADER) return 'multicastMalformed'
  return MLDV2_QUERY_HEADER + 16 * view.getUint16(at + 26) > length ? 'multicastMalformed' : undefined
}

/** The query that `length` checked bytes hold. */
export function readMldQuery(view: DataView, at: number, length: number): MulticastQuery {
  const version = length > MLD_HEADER ? 2 : 1
  const code = view.getUint16(at + 4)
  return {
    version,
    group: mldGroup(view, at),
    maxResponse: millis(version === 2 ? floatingCode16(code) : code),
    robustness: version === 2 ? view.getUint8(at + 24) & 7 : 0,
    queryInterval: version === 2 ? floatingCode8(view.getUint8(at + 25)) : 0,
    sourceCount: version === 2 ? view.getUint16(at + 26) : 0,
  }
}

export const mldQuerySource = (view: DataView, at: number, index: number): IpAddress =>
  IpAddress.read6(view, at + MLDV2_QUERY_HEADER + 16 * index)

/** RFC 3810 §5.1.3: from 32768 on, three bits of exponent and twelve of mantissa. */
export const floatingCode16 = (code: number): number =>
  code < 0x8000 ? code : ((code & 0xfff) | 0x1000) << (((code >>> 12) & 7) + 3)

/** A version 1 query, report or done. `maxResponseMillis` is 0 in all but queries. */
export function emitMld(view: DataView, at: number, type: number, group: IpAddress, maxResponseMillis = 0): number {
  emitIcmp(view, at, type, 0, 0)
  view.setUint16(at + 4, maxResponseMillis)
  group.writeTo(view, at + 8)
  return MLD_HEADER
}

export function emitMldV2Report(view: DataView, at: number, records: readonly GroupRecord[]): number {
  emitIcmp(view, at, ICMP6_MLDV2_REPORT, 0, records.length)
  return MLDV2_REPORT_HEADER + emitGroupRecords(view, at + MLDV2_REPORT_HEADER, records)
}
