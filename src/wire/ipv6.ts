// The fixed IPv6 header (RFC 8200 §3). What follows it is in ipv6-extensions.ts.
//
//   |Version| Traffic Class |           Flow Label                  |
//   |         Payload Length        |  Next Header  |   Hop Limit   |
//   |                  Source Address (16 bytes)                    |
//   |                Destination Address (16 bytes)                 |

import type { Drop } from '../counters.ts'
import { IpAddress } from './address.ts'

export const IPV6_HEADER = 40
/** What every link must carry, and what every node must reassemble at least is 1,500 (RFC 8200 §5). */
export const IPV6_MIN_MTU = 1_280

export const ipv6TrafficClass = (view: DataView, at: number): number => (view.getUint16(at) >>> 4) & 0xff
export const ipv6FlowLabel = (view: DataView, at: number): number => view.getUint32(at) & 0xf_ffff
export const ipv6PayloadLength = (view: DataView, at: number): number => view.getUint16(at + 4)
export const ipv6NextHeader = (view: DataView, at: number): number => view.getUint8(at + 6)
export const ipv6HopLimit = (view: DataView, at: number): number => view.getUint8(at + 7)
export const ipv6Source = (view: DataView, at: number): IpAddress => IpAddress.read6(view, at + 8)
export const ipv6Destination = (view: DataView, at: number): IpAddress => IpAddress.read6(view, at + 24)

/** Undefined when the first `linear` readable bytes of a packet of `length` bytes begin with a valid header. */
export function checkIpv6(view: DataView, at: number, linear: number, length: number): Drop | undefined {
  if (linear < IPV6_HEADER) return 'ipHeaderLength'
  if (view.getUint8(at) >>> 4 !== 6) return 'ipVersion'
  if (IPV6_HEADER + ipv6PayloadLength(view, at) > length) return 'ipTotalLength'
  return undefined
}

export interface Ipv6Fields {
  trafficClass: number
  flowLabel: number
  payloadLength: number
  nextHeader: number
  hopLimit: number
  source: IpAddress
  destination: IpAddress
}

export function emitIpv6(view: DataView, at: number, fields: Ipv6Fields): void {
  view.setUint32(at, ((6 << 28) | (fields.trafficClass << 20) | fields.flowLabel) >>> 0)
  view.setUint16(at + 4, fields.payloadLength)
  view.setUint8(at + 6, fields.nextHeader)
  view.setUint8(at + 7, fields.hopLimit)
  fields.source.writeTo(view, at + 8)
  fields.destination.writeTo(view, at + 24)
}
