// The IPv4 header (RFC 791) and its options.
//
//    0               1               2               3
//   |Version|  IHL  |  DSCP |  ECN  |         Total Length          |
//   |        Identification         |Flags|     Fragment Offset     |
//   |      TTL      |   Protocol    |        Header Checksum        |
//   |                       Source Address                          |
//   |                     Destination Address                       |
//   |                    Options, padded to 4                       |

import type { Drop } from '../counters.ts'
import { IpAddress } from './address.ts'
import { complement, fold, type Octets, sumOctets } from './checksum.ts'

export const IPV4_HEADER = 20
export const IPV4_MAX_HEADER = 60
export const IPV4_MAX_PACKET = 65_535
/** What every host must be able to receive whole (RFC 791). */
export const IPV4_MIN_REASSEMBLY = 576
/** What every link must carry (RFC 791). */
export const IPV4_MIN_MTU = 68

export const PROTOCOL_ICMP4 = 1
export const PROTOCOL_IGMP = 2
export const PROTOCOL_TCP = 6
export const PROTOCOL_UDP = 17
export const PROTOCOL_ICMP6 = 58

export const DONT_FRAGMENT = 0x4000
export const MORE_FRAGMENTS = 0x2000

export const OPTION_END = 0
export const OPTION_NOP = 1
export const OPTION_LOOSE_ROUTE = 131
export const OPTION_STRICT_ROUTE = 137
export const OPTION_ROUTER_ALERT = 148
/** The router alert option of IGMP (RFC 2113): kind 148, length 4, value 0. */
export const ROUTER_ALERT_OPTION = 0x9404_0000

export const ipVersion = (view: DataView, at: number): number => view.getUint8(at) >>> 4
export const ipv4HeaderLength = (view: DataView, at: number): number => (view.getUint8(at) & 0xf) << 2
/** DSCP and ECN. */
export const ipv4TrafficClass = (view: DataView, at: number): number => view.getUint8(at + 1)
export const ipv4TotalLength = (view: DataView, at: number): number => view.getUint16(at + 2)
export const ipv4Identification = (view: DataView, at: number): number => view.getUint16(at + 4)
export const ipv4FlagsAndOffset = (view: DataView, at: number): number => view.getUint16(at + 6)
/** In bytes. */
export const ipv4FragmentOffset = (view: DataView, at: number): number => (view.getUint16(at + 6) & 0x1fff) << 3
export const ipv4DontFragment = (view: DataView, at: number): boolean => (view.getUint16(at + 6) & DONT_FRAGMENT) !== 0
export const ipv4MoreFragments = (view: DataView, at: number): boolean =>
  (view.getUint16(at + 6) & MORE_FRAGMENTS) !== 0
export const ipv4Ttl = (view: DataView, at: number): number => view.getUint8(at + 8)
export const ipv4Protocol = (view: DataView, at: number): number => view.getUint8(at + 9)
export const ipv4Checksum = (view: DataView, at: number): number => view.getUint16(at + 10)
export const ipv4Source = (view: DataView, at: number): IpAddress => IpAddress.read4(view, at + 12)
export const ipv4Destination = (view: DataView, at: number): IpAddress => IpAddress.read4(view, at + 16)

/** Undefined when the first bytes of a packet of `length` bytes are a valid header; `linear` bytes of it are readable at `at`. */
export function checkIpv4(octets: Octets, at: number, linear: number, length: number): Drop | undefined {
  if (linear < IPV4_HEADER) return 'ipHeaderLength'
  const { view } = octets
  if (ipVersion(view, at) !== 4) return 'ipVersion'
  const headerLength = ipv4HeaderLength(view, at)
  if (headerLength < IPV4_HEADER || headerLength > linear) return 'ipHeaderLength'
  const totalLength = ipv4TotalLength(view, at)
  if (totalLength < headerLength || totalLength > length) return 'ipTotalLength'
  if (fold(sumOctets(octets, at, headerLength)) !== 0xffff) return 'ipChecksum'
  return undefined
}

/** Where the first malformed option begins (RFC 791 §3.1); -1: all are well formed. */
export function malformedOptionAt(view: DataView, at: number, headerLength: number): number {
  const end = at + headerLength
  let option = at + IPV4_HEADER
  while (option < end) {
    const kind = view.getUint8(option)
    if (kind === OPTION_END) return -1
    if (kind === OPTION_NOP) {
      option++
      continue
    }
    const length = option + 1 < end ? view.getUint8(option + 1) : 0
    if (length < 2 || option + length > end) return option
    option += length
  }
  return -1
}

/** Undefined when all options are well formed and none asks for a source route (RFC 7126 §4.3, §4.4). */
export function checkIpv4Options(view: DataView, at: number, headerLength: number): Drop | undefined {
  if (malformedOptionAt(view, at, headerLength) >= 0) return 'ipOptionMalformed'
  const end = at + headerLength
  let option = at + IPV4_HEADER
  while (option < end) {
    const kind = view.getUint8(option)
    if (kind === OPTION_END) return undefined
    if (kind === OPTION_LOOSE_ROUTE || kind === OPTION_STRICT_ROUTE) return 'ipSourceRoute'
    option += kind === OPTION_NOP ? 1 : view.getUint8(option + 1)
  }
  return undefined
}

export interface Ipv4Fields {
  trafficClass: number
  totalLength: number
  identification: number
  /** DONT_FRAGMENT, MORE_FRAGMENTS, and the offset in units of 8 bytes. */
  flagsAndOffset: number
  ttl: number
  protocol: number
  source: IpAddress
  destination: IpAddress
  /** The header's length; bytes beyond 20 are options, already in place. */
  headerLength: number
}

/** Writes the header and its checksum; options, where the header is longer than 20 bytes, must be in place. */
export function emitIpv4(octets: Octets, at: number, fields: Ipv4Fields): void {
  const { view } = octets
  view.setUint8(at, 0x40 | (fields.headerLength >>> 2))
  view.setUint8(at + 1, fields.trafficClass)
  view.setUint16(at + 2, fields.totalLength)
  view.setUint16(at + 4, fields.identification)
  view.setUint16(at + 6, fields.flagsAndOffset)
  view.setUint8(at + 8, fields.ttl)
  view.setUint8(at + 9, fields.protocol)
  view.setUint16(at + 10, 0)
  view.setInt32(at + 12, fields.source.w3)
  view.setInt32(at + 16, fields.destination.w3)
  completeIpv4Checksum(octets, at)
}

/** Computes the header checksum anew. */
export function completeIpv4Checksum(octets: Octets, at: number): void {
  octets.view.setUint16(at + 10, 0)
  octets.view.setUint16(at + 10, complement(sumOctets(octets, at, ipv4HeaderLength(octets.view, at))))
}

/** The sum of the pseudo-header of both families (RFC 9293 §3.1, RFC 8200 §8.1). */
export const pseudoHeaderSum = (source: IpAddress, destination: IpAddress, protocol: number, length: number): number =>
  source.sum + destination.sum + protocol + (length >>> 16) + (length & 0xffff)
