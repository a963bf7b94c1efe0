// Builds whole frames for the tests of src/wire, out of its own emit functions.

import { IpAddress } from '../../src/wire/address.ts'
import { emitArp } from '../../src/wire/arp.ts'
import { complement, type Octets, sumOctets } from '../../src/wire/checksum.ts'
import {
  ETHERNET_HEADER,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  emitEthernet,
  emitVlan,
  MacAddress,
} from '../../src/wire/ethernet.ts'
import {
  emitIpv4,
  IPV4_HEADER,
  PROTOCOL_ICMP6,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  pseudoHeaderSum,
} from '../../src/wire/ipv4.ts'
import { emitIpv6, IPV6_HEADER } from '../../src/wire/ipv6.ts'
import { seq } from '../../src/wire/sequence.ts'
import { emitTcp, TCP_HEADER } from '../../src/wire/tcp.ts'
import { emitTcpOptions, TcpOptions, tcpOptionsLength } from '../../src/wire/tcp-options.ts'
import { emitUdp, UDP_HEADER } from '../../src/wire/udp.ts'

export const MAC_A = MacAddress.from('02:00:00:00:00:0a')
export const MAC_B = MacAddress.from('02:00:00:00:00:0b')
export const A4 = IpAddress.from('10.0.0.1')
export const B4 = IpAddress.from('10.0.0.2')
export const A6 = IpAddress.from('fe80::1')
export const B6 = IpAddress.from('2001:db8::2')

export function octetsOf(size: number): Octets {
  const buffer = new ArrayBuffer((size + 3) & ~3)
  return { bytes: new Uint8Array(buffer), view: new DataView(buffer), words: new Uint32Array(buffer) }
}

/** The bytes that `write` puts into a zeroed buffer; it returns how many. */
export function built(write: (view: DataView, octets: Octets) => number): Uint8Array {
  const octets = octetsOf(4096)
  return octets.bytes.slice(0, write(octets.view, octets))
}

export function bytesOf(hex: string): Uint8Array {
  const digits = hex.replace(/\s+/g, '')
  const bytes = new Uint8Array(digits.length / 2)
  for (let at = 0; at < bytes.length; at++) bytes[at] = Number.parseInt(digits.slice(2 * at, 2 * at + 2), 16)
  return bytes
}

export const hexOf = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** A copy that begins on a word boundary, seen three ways. */
export function octetsFrom(bytes: Uint8Array): Octets {
  const octets = octetsOf(bytes.length)
  octets.bytes.set(bytes)
  return octets
}

export function joined(...parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

export const ethernet = (type: number, payload: Uint8Array): Uint8Array =>
  joined(
    built((view) => {
      emitEthernet(view, 0, MAC_B, MAC_A, type)
      return ETHERNET_HEADER
    }),
    payload,
  )

export const vlan = (tag: number, type: number, payload: Uint8Array): Uint8Array =>
  joined(
    built((view) => {
      emitVlan(view, 0, MAC_B, MAC_A, tag, type)
      return ETHERNET_HEADER + 4
    }),
    payload,
  )

export const arp = (fields: Partial<Parameters<typeof emitArp>[2]> & { operation: number }): Uint8Array =>
  ethernet(
    ETHERTYPE_ARP,
    built((view) => {
      emitArp(view, 0, {
        senderMac: MAC_A,
        senderIp: A4,
        targetMac: new MacAddress(0, 0),
        targetIp: B4,
        ...fields,
      })
      return 28
    }),
  )

export interface Ip4Options {
  source?: IpAddress
  destination?: IpAddress
  flagsAndOffset?: number
  ttl?: number
  /** Padded to 4 by the caller. */
  options?: Uint8Array
  trafficClass?: number
}

/** A bare IPv4 packet. */
export function ip4(protocol: number, payload: Uint8Array, options: Ip4Options = {}): Uint8Array {
  const extra = options.options ?? new Uint8Array(0)
  return joined(
    built((view, octets) => {
      octets.bytes.set(extra, IPV4_HEADER)
      emitIpv4(octets, 0, {
        trafficClass: options.trafficClass ?? 0,
        totalLength: IPV4_HEADER + extra.length + payload.length,
        identification: 7,
        flagsAndOffset: options.flagsAndOffset ?? 0x4000,
        ttl: options.ttl ?? 64,
        protocol,
        source: options.source ?? A4,
        destination: options.destination ?? B4,
        headerLength: IPV4_HEADER + extra.length,
      })
      return view.getUint8(0) === 0 ? 0 : IPV4_HEADER + extra.length
    }),
    payload,
  )
}

export interface Ip6Options {
  source?: IpAddress
  destination?: IpAddress
  hopLimit?: number
}

/** A bare IPv6 packet. */
export function ip6(nextHeader: number, payload: Uint8Array, options: Ip6Options = {}): Uint8Array {
  return joined(
    built((view) => {
      emitIpv6(view, 0, {
        trafficClass: 0,
        flowLabel: 0,
        payloadLength: payload.length,
        nextHeader,
        hopLimit: options.hopLimit ?? 64,
        source: options.source ?? A6,
        destination: options.destination ?? B6,
      })
      return IPV6_HEADER
    }),
    payload,
  )
}

/** Puts the checksum of an IPv4 transport without pseudo-header (ICMP), or of one with it, at `field`. */
export function checksummed(segment: Uint8Array, field: number, pseudo = 0): Uint8Array {
  const octets = octetsFrom(segment)
  octets.view.setUint16(field, 0)
  octets.view.setUint16(field, complement(pseudo + sumOctets(octets, 0, segment.length)))
  return octets.bytes.slice(0, segment.length)
}

/** An ICMPv6 message in an IPv6 packet, checksum and all. */
export function icmp6(message: Uint8Array, options: Ip6Options = {}): Uint8Array {
  const sum = pseudoHeaderSum(options.source ?? A6, options.destination ?? B6, PROTOCOL_ICMP6, message.length)
  return ip6(PROTOCOL_ICMP6, checksummed(message, 2, sum), options)
}

export interface SegmentFields {
  sourcePort?: number
  destinationPort?: number
  seq?: number
  ack?: number
  flags: number
  window?: number
  urgentPointer?: number
  options?: Partial<TcpOptions>
  rawOptions?: Uint8Array
  payload?: Uint8Array
}

export function tcp(fields: SegmentFields, source = A4, destination = B4): Uint8Array {
  const options = Object.assign(new TcpOptions(), fields.options)
  const optionsLength = fields.rawOptions?.length ?? tcpOptionsLength(options)
  const segment = joined(
    built((view, octets) => {
      emitTcp(view, 0, {
        sourcePort: fields.sourcePort ?? 40_000,
        destinationPort: fields.destinationPort ?? 7_777,
        seq: seq(fields.seq ?? 1_000),
        ack: seq(fields.ack ?? 0),
        headerLength: TCP_HEADER + optionsLength,
        flags: fields.flags,
        window: fields.window ?? 64_240,
        checksum: 0,
        urgentPointer: fields.urgentPointer ?? 0,
      })
      if (fields.rawOptions) octets.bytes.set(fields.rawOptions, TCP_HEADER)
      else emitTcpOptions(view, TCP_HEADER, options)
      return TCP_HEADER + optionsLength
    }),
    fields.payload ?? new Uint8Array(0),
  )
  return checksummed(segment, 16, pseudoHeaderSum(source, destination, PROTOCOL_TCP, segment.length))
}

export function udp(payload: Uint8Array, source = A4, destination = B4, port = 7_777): Uint8Array {
  const datagram = joined(
    built((view) => {
      emitUdp(view, 0, {
        sourcePort: 40_000,
        destinationPort: port,
        length: UDP_HEADER + payload.length,
        checksum: 0,
      })
      return UDP_HEADER
    }),
    payload,
  )
  return checksummed(datagram, 6, pseudoHeaderSum(source, destination, PROTOCOL_UDP, datagram.length))
}

export const overEthernet4 = (packet: Uint8Array): Uint8Array => ethernet(ETHERTYPE_IPV4, packet)
export const overEthernet6 = (packet: Uint8Array): Uint8Array => ethernet(ETHERTYPE_IPV6, packet)
