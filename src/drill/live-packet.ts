// A packet that the stack sent, taken apart for comparison.

import type { Micros } from '../time.ts'
import { IpAddress } from '../wire/address.ts'
import { fold, type Octets, sumOctets } from '../wire/checksum.ts'
import { ipv4HeaderLength, PROTOCOL_ICMP4, PROTOCOL_ICMP6, PROTOCOL_TCP, PROTOCOL_UDP } from '../wire/ipv4.ts'
import { IPV6_HEADER, ipv6TrafficClass } from '../wire/ipv6.ts'
import { tcpDestinationPort, tcpFlags, tcpHeaderLength, tcpSourcePort } from '../wire/tcp.ts'
import type { Flow } from './flow.ts'

export interface LivePacket {
  /** When the stack sent it. */
  readonly at: Micros
  readonly octets: Octets
  readonly length: number
  readonly family: 4 | 6
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly protocol: number
  readonly trafficClass: number
  readonly ttl: number
  readonly flowLabel: number
  /** Where the transport header begins. */
  readonly transportAt: number
  readonly sourcePort: number
  readonly destinationPort: number
}

/** Memory for `length` bytes, to be seen as bytes, words and by a view. */
export function makeOctets(length: number): Octets {
  const buffer = new ArrayBuffer((length + 3) & ~3)
  return { bytes: new Uint8Array(buffer), view: new DataView(buffer), words: new Uint32Array(buffer) }
}

export function readPacket(bytes: Uint8Array, at: Micros): LivePacket {
  const octets = makeOctets(bytes.length)
  octets.bytes.set(bytes)
  const { view } = octets
  const isV4 = view.getUint8(0) >>> 4 === 4
  const transportAt = isV4 ? ipv4HeaderLength(view, 0) : IPV6_HEADER
  const protocol = view.getUint8(isV4 ? 9 : 6)
  const hasPorts = (protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP) && bytes.length >= transportAt + 4
  return {
    at,
    octets,
    length: bytes.length,
    family: isV4 ? 4 : 6,
    source: isV4 ? IpAddress.read4(view, 12) : IpAddress.read6(view, 8),
    destination: isV4 ? IpAddress.read4(view, 16) : IpAddress.read6(view, 24),
    protocol,
    trafficClass: isV4 ? view.getUint8(1) : ipv6TrafficClass(view, 0),
    ttl: view.getUint8(isV4 ? 8 : 7),
    flowLabel: isV4 ? 0 : view.getUint32(0) & 0xf_ffff,
    transportAt,
    sourcePort: hasPorts ? tcpSourcePort(view, transportAt) : 0,
    destinationPort: hasPorts ? tcpDestinationPort(view, transportAt) : 0,
  }
}

export const flagsOf = (live: LivePacket): number => tcpFlags(live.octets.view, live.transportAt)

export const payloadAt = (live: LivePacket): number =>
  live.protocol === PROTOCOL_TCP
    ? live.transportAt + tcpHeaderLength(live.octets.view, live.transportAt)
    : live.transportAt + 8

export const payloadLength = (live: LivePacket): number => live.length - payloadAt(live)

export const isIcmp = (live: LivePacket): boolean =>
  live.protocol === PROTOCOL_ICMP4 || live.protocol === PROTOCOL_ICMP6

export const hasGoodHeader = (live: LivePacket): boolean =>
  live.family === 6 || fold(sumOctets(live.octets, 0, live.transportAt)) === 0xffff

/** Whether it belongs to the flow. Ports that the flow does not know yet fit any. */
export function isOfFlow(live: LivePacket, flow: Flow): boolean {
  if (!live.destination.equals(flow.remote)) return false
  if (isIcmp(live)) return true
  if ((live.protocol === PROTOCOL_TCP) !== (flow.protocol === 'tcp')) return false
  if (!live.source.equals(flow.local)) return false
  const localFits = flow.localPort === 0 || live.sourcePort === flow.localPort
  return localFits && (flow.remotePort === 0 || live.destinationPort === flow.remotePort)
}
