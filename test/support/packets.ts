// Packets made by hand, for peers that do what no honest stack does; and a look at what came back that trusts none of
// the product's checksum code.

import { IpAddress } from '../../src/wire/address.ts'
import { emitIcmp } from '../../src/wire/icmp4.ts'
import { emitIpv4, PROTOCOL_ICMP4, PROTOCOL_ICMP6, PROTOCOL_TCP, PROTOCOL_UDP } from '../../src/wire/ipv4.ts'
import { emitIpv6, IPV6_HEADER } from '../../src/wire/ipv6.ts'
import { emitFragmentHeader, FRAGMENT_HEADER, NEXT_FRAGMENT } from '../../src/wire/ipv6-extensions.ts'
import { joined, octetsOf } from '../wire/frames.ts'
import { naiveChecksum } from '../wire/naive-checksum.ts'

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

export const bytesUpTo = (length: number, salt = 0): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * 31 + (index >>> 8) * 7 + salt) & 0xff)

export interface Packet4 {
  protocol?: number
  payload?: Uint8Array
  source?: string
  destination?: string
  identification?: number
  dontFragment?: boolean
  more?: boolean
  /** In bytes, a multiple of 8. */
  offset?: number
  ttl?: number
  /** A multiple of 4 bytes. */
  options?: readonly number[]
}

export function packet4(fields: Packet4): Uint8Array {
  const { payload = new Uint8Array(0), options = [] } = fields
  const headerLength = 20 + options.length
  const octets = octetsOf(headerLength)
  octets.bytes.set(options, 20)
  emitIpv4(octets, 0, {
    trafficClass: 0,
    totalLength: headerLength + payload.length,
    identification: fields.identification ?? 7,
    flagsAndOffset: (fields.dontFragment ? 0x4000 : 0) | (fields.more ? 0x2000 : 0) | ((fields.offset ?? 0) >>> 3),
    ttl: fields.ttl ?? 64,
    protocol: fields.protocol ?? PROTOCOL_UDP,
    source: IpAddress.from(fields.source ?? '10.0.0.2'),
    destination: IpAddress.from(fields.destination ?? '10.0.0.1'),
    headerLength,
  })
  return joined(octets.bytes.subarray(0, headerLength), payload)
}

export interface Packet6 {
  nextHeader?: number
  payload?: Uint8Array
  source?: string
  destination?: string
  hopLimit?: number
}

export function packet6(fields: Packet6): Uint8Array {
  const { payload = new Uint8Array(0) } = fields
  const octets = octetsOf(IPV6_HEADER)
  emitIpv6(octets.view, 0, {
    trafficClass: 0,
    flowLabel: 0,
    payloadLength: payload.length,
    nextHeader: fields.nextHeader ?? PROTOCOL_UDP,
    hopLimit: fields.hopLimit ?? 64,
    source: IpAddress.from(fields.source ?? 'fd00::2'),
    destination: IpAddress.from(fields.destination ?? 'fd00::1'),
  })
  return joined(octets.bytes, payload)
}

/** A fragment of an IPv6 datagram: header, fragment header, a part of the payload. */
export function fragment6Of(
  fields: Packet6 & { offset: number; more: boolean; identification?: number; part: Uint8Array },
): Uint8Array {
  const octets = octetsOf(FRAGMENT_HEADER)
  emitFragmentHeader(octets.view, 0, {
    nextHeader: fields.nextHeader ?? PROTOCOL_UDP,
    offset: fields.offset,
    more: fields.more,
    identification: fields.identification ?? 7,
  })
  return packet6({ ...fields, nextHeader: NEXT_FRAGMENT, payload: joined(octets.bytes, fields.part) })
}

export interface UdpParts {
  payload?: Uint8Array
  sourcePort?: number
  destinationPort?: number
  source?: string
  destination?: string
  /** Default: the right one. */
  checksum?: number
}

export function udpOf(family: 4 | 6, fields: UdpParts): Uint8Array {
  const { payload = new Uint8Array(0) } = fields
  const datagram = new Uint8Array(8 + payload.length)
  const view = viewOf(datagram)
  view.setUint16(0, fields.sourcePort ?? 4_000)
  view.setUint16(2, fields.destinationPort ?? 7)
  view.setUint16(4, datagram.length)
  datagram.set(payload, 8)
  const source = IpAddress.from(fields.source ?? (family === 4 ? '10.0.0.2' : 'fd00::2'))
  const destination = IpAddress.from(fields.destination ?? (family === 4 ? '10.0.0.1' : 'fd00::1'))
  const right = naiveChecksum(joined(pseudoHeader(source, destination, PROTOCOL_UDP, datagram.length), datagram))
  view.setUint16(6, fields.checksum ?? (right === 0 ? 0xffff : right))
  return datagram
}

export const udp4 = (fields: UdpParts & Omit<Packet4, 'payload'>): Uint8Array =>
  packet4({ ...fields, protocol: PROTOCOL_UDP, payload: udpOf(4, fields) })

export const udp6 = (fields: UdpParts & Omit<Packet6, 'payload'>): Uint8Array =>
  packet6({ ...fields, nextHeader: PROTOCOL_UDP, payload: udpOf(6, fields) })

/** An ICMP message: type, code, the four bytes after the checksum, the rest. */
export function icmpOf(type: number, code: number, rest: number, body: Uint8Array = new Uint8Array(0)): Uint8Array {
  const octets = octetsOf(8)
  emitIcmp(octets.view, 0, type, code, rest)
  const message = joined(octets.bytes, body)
  viewOf(message).setUint16(2, naiveChecksum(message))
  return message
}

export const icmp4 = (fields: Packet4, type: number, code: number, rest: number, body?: Uint8Array): Uint8Array =>
  packet4({ ...fields, protocol: PROTOCOL_ICMP4, payload: icmpOf(type, code, rest, body) })

export function icmp6(fields: Packet6, type: number, code: number, rest: number, body?: Uint8Array): Uint8Array {
  const message = icmpOf(type, code, rest, body)
  const source = IpAddress.from(fields.source ?? 'fd00::2')
  const destination = IpAddress.from(fields.destination ?? 'fd00::1')
  viewOf(message).setUint16(2, 0)
  const sum = naiveChecksum(joined(pseudoHeader(source, destination, PROTOCOL_ICMP6, message.length), message))
  viewOf(message).setUint16(2, sum)
  return packet6({ ...fields, nextHeader: PROTOCOL_ICMP6, payload: message })
}

export function pseudoHeader(source: IpAddress, destination: IpAddress, protocol: number, length: number): Uint8Array {
  const { size } = source
  const header = new Uint8Array(2 * size + 8)
  const view = viewOf(header)
  source.writeTo(view, 0)
  destination.writeTo(view, size)
  view.setUint32(2 * size, length)
  view.setUint32(2 * size + 4, protocol)
  return header
}

/** What an IP packet is made of, as far as a test asks. */
export interface Seen {
  readonly family: 4 | 6
  readonly source: string
  readonly destination: string
  readonly hopLimit: number
  readonly protocol: number
  readonly bytes: Uint8Array
  /** IPv4: with the offset and flags; IPv6: of the fragment header. */
  readonly isFragment: boolean
  /** Behind the IP header, and behind the fragment header. */
  readonly payload: Uint8Array
}

/** Reads an IP packet and checks every checksum in it byte by byte; throws where one is wrong. */
export function seen(bytes: Uint8Array): Seen {
  const view = viewOf(bytes)
  const family = bytes[0]! >>> 4 === 4 ? 4 : 6
  const headerLength = family === 4 ? (bytes[0]! & 0xf) * 4 : 40
  const source = family === 4 ? IpAddress.read4(view, 12) : IpAddress.read6(view, 8)
  const destination = family === 4 ? IpAddress.read4(view, 16) : IpAddress.read6(view, 24)
  const total = family === 4 ? view.getUint16(2) : 40 + view.getUint16(4)
  if (total !== bytes.length) throw new Error(`the packet says ${total} bytes and has ${bytes.length}`)
  if (family === 4 && naiveChecksum(bytes.subarray(0, headerLength)) !== 0) throw new Error('IPv4 header checksum')
  const isFragment = family === 4 ? (view.getUint16(6) & 0x3fff) !== 0 : bytes[6] === NEXT_FRAGMENT
  const protocol = family === 4 ? bytes[9]! : isFragment ? bytes[40]! : bytes[6]!
  const payload = bytes.subarray(family === 6 && isFragment ? headerLength + FRAGMENT_HEADER : headerLength)
  if (!isFragment) checkTransport(protocol, source, destination, payload)
  const hopLimit = bytes[family === 4 ? 8 : 7]!
  return {
    family,
    source: String(source),
    destination: String(destination),
    hopLimit,
    protocol,
    bytes,
    isFragment,
    payload,
  }
}

function checkTransport(protocol: number, source: IpAddress, destination: IpAddress, payload: Uint8Array): void {
  const pseudo = pseudoHeader(source, destination, protocol, payload.length)
  if (protocol === PROTOCOL_ICMP4 && naiveChecksum(payload) !== 0) throw new Error('ICMP checksum')
  if (protocol === PROTOCOL_ICMP6 && naiveChecksum(joined(pseudo, payload)) !== 0) throw new Error('ICMPv6 checksum')
  if (protocol === PROTOCOL_TCP && naiveChecksum(joined(pseudo, payload)) !== 0) throw new Error('TCP checksum')
  if (protocol === PROTOCOL_UDP && viewOf(payload).getUint16(6) === 0) throw new Error('UDP without a checksum')
  if (protocol === PROTOCOL_UDP && naiveChecksum(joined(pseudo, payload)) !== 0) throw new Error('UDP checksum')
}

/** Type, code and the four bytes that follow the checksum of an ICMP message, and what it quotes. */
export function icmpSeen(packet: Seen): { type: number; code: number; rest: number; quote: Uint8Array } {
  const view = viewOf(packet.payload)
  return {
    type: view.getUint8(0),
    code: view.getUint8(1),
    rest: view.getUint32(4),
    quote: packet.payload.subarray(8),
  }
}

/** Where two arrays of bytes differ first; -1: nowhere. Of what was not received, -2. */
export function firstDifference(actual: Uint8Array | undefined, expected: Uint8Array): number {
  if (actual === undefined) return -2
  const length = Math.max(actual.length, expected.length)
  for (let at = 0; at < length; at++) if (actual[at] !== expected[at]) return at
  return -1
}
