// What a device's offloads would do, in software: completing a transport checksum, and cutting TCP
// super-segments (RFC 9293) and batches of UDP datagrams (RFC 768). ip/interface.ts calls prepare() on each
// packet while data is still at the IP header, and pushes the link header on what comes out.
//
// Each segment gets a page of its own for the headers and shares the payload with the super-segment.

import { assert } from '../assert.ts'
import { HEADROOM, Packet } from '../buf/packet.ts'
import { type PagePool, SMALL_PAGE } from '../buf/page.ts'
import type { Drop } from '../counters.ts'
import { addPiece, complement, fold, sumOctets } from '../wire/checksum.ts'
import {
  completeIpv4Checksum,
  DONT_FRAGMENT,
  IPV4_HEADER,
  ipVersion,
  ipv4FlagsAndOffset,
  ipv4HeaderLength,
  ipv4Protocol,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
} from '../wire/ipv4.ts'
import { IPV6_HEADER, ipv6NextHeader } from '../wire/ipv6.ts'
import { seqAdd } from '../wire/sequence.ts'
import { CWR, FIN, PSH, TCP_CHECKSUM_AT, TCP_HEADER, tcpHeaderLength, tcpSeq } from '../wire/tcp.ts'
import { UDP_HEADER } from '../wire/udp.ts'
import type { Offloads } from './device.ts'

// Where the fields are that differ between the segments of one super-segment.
const TCP_SEQUENCE = 4
const TCP_OFFSET_AND_FLAGS = 12
/** Linux cuts no smaller (TCP_MIN_GSO_SIZE): one super-segment makes 8,192 segments at most. */
const LEAST_SEGMENT_BYTES = 8
const UDP_LENGTH = 4
const UDP_CHECKSUM = 6

/** True where the device takes the packet as it is, and prepare() would only hand it through. */
export function isReady(packet: Packet, offloads: Offloads): boolean {
  if (packet.segmentBytes > 0 && (packet.segmentKind === 'udp' || packet.length > offloads.segmentBytes)) return false
  return packet.checksum !== 'partial' || offloads.checksum
}

/**
 * Consumes a packet whose data begins at its IP header and emits what the device takes: the packet itself, or its
 * segments in order. False: the pool was empty, and the rest was released; the caller counts noBuffer. The offload
 * is for TCP alone: a batch of UDP datagrams is always cut, for its receiver wants datagrams.
 */
export function prepare(packet: Packet, offloads: Offloads, emit: (packet: Packet) => void): boolean {
  if (packet.segmentBytes > 0 && (packet.segmentKind === 'udp' || packet.length > offloads.segmentBytes)) {
    return segment(packet, packet.page.pool, emit, offloads.checksum)
  }
  if (packet.checksum === 'partial' && !offloads.checksum && !completeChecksum(packet)) {
    packet.release()
    return false
  }
  emit(packet)
  return true
}

/**
 * Whether what a device says of a packet it received can be true; the packet's data begins at its IP header. Nothing
 * that forwards, cuts or completes it looks again.
 */
export function checkOffload(packet: Packet): Drop | undefined {
  const { view } = packet.page
  const at = packet.data
  if (packet.headLength < IPV4_HEADER) return 'offloadMalformed'
  const isIpv4 = ipVersion(view, at) === 4
  if (!isIpv4 && packet.headLength < IPV6_HEADER) return 'offloadMalformed'
  const transportAt = at + (isIpv4 ? ipv4HeaderLength(view, at) : IPV6_HEADER)
  if (packet.checksum === 'partial') {
    const field = packet.checksumField - packet.checksumStart
    if (field !== TCP_CHECKSUM_AT && field !== UDP_CHECKSUM) return 'offloadMalformed'
    if (packet.checksumStart < transportAt || packet.checksumField + 2 > packet.tail) return 'offloadMalformed'
  }
  if (packet.segmentBytes === 0) return undefined
  const protocol = isIpv4 ? ipv4Protocol(view, at) : ipv6NextHeader(view, at)
  const isFragment = isIpv4 && (ipv4FlagsAndOffset(view, at) & ~DONT_FRAGMENT) !== 0
  const isUdp = packet.segmentKind === 'udp'
  const kind = isUdp ? 'udp' : isIpv4 ? 'tcp4' : 'tcp6'
  if (packet.segmentKind !== kind || protocol !== (isUdp ? PROTOCOL_UDP : PROTOCOL_TCP) || isFragment) {
    return 'offloadMalformed'
  }
  if (packet.checksum === 'partial' && packet.checksumStart !== transportAt) return 'offloadMalformed'
  if (packet.segmentBytes < LEAST_SEGMENT_BYTES || transportAt + TCP_HEADER > packet.tail) return 'offloadMalformed'
  const headerLength = isUdp ? UDP_HEADER : (view.getUint8(transportAt + TCP_OFFSET_AND_FLAGS) >>> 4) << 2
  const isShort = !isUdp && headerLength < TCP_HEADER
  return isShort || transportAt + headerLength > packet.tail ? 'offloadMalformed' : undefined
}

/** Turns a partial checksum into a complete one; others stay as they are. False: the pool was empty, nothing changed. */
export function completeChecksum(packet: Packet): boolean {
  if (packet.checksum !== 'partial') return true
  if (!packet.unshare()) return false
  const isUdp = packet.checksumField - packet.checksumStart === UDP_CHECKSUM
  const checksum = complement(sumFrom(packet, packet.checksumStart))
  // RFC 768: a computed zero is sent as all ones, for zero means that there is none.
  packet.page.view.setUint16(packet.checksumField, isUdp && checksum === 0 ? 0xffff : checksum)
  packet.checksum = 'complete'
  return true
}

/** The sum of all bytes from an offset in the linear part to the packet's end. */
export function sumFrom(packet: Packet, start: number): number {
  let before = packet.tail - start
  let sum = sumOctets(packet.page, start, before)
  for (const fragment of packet.fragments) {
    sum = addPiece(sum, before, sumOctets(fragment.page, fragment.offset, fragment.length))
    before += fragment.length
  }
  return sum
}

/**
 * Cuts a super-segment into packets of at most segmentBytes of payload and consumes it. Each has a complete
 * checksum, or a partial one where `leavePartial`. False: the pool was empty before the last one.
 */
export function segment(packet: Packet, pool: PagePool, emit: (packet: Packet) => void, leavePartial = false): boolean {
  const isUdp = packet.segmentKind === 'udp'
  // One that came over a link has no transportAt, but then its checksum is partial and begins there.
  const transportAt = packet.checksum === 'partial' ? packet.checksumStart : packet.transportAt
  const networkLength = transportAt - packet.data
  assert(packet.segmentBytes > 0 && packet.segmentKind !== 'none', 'not a super-segment')
  assert(networkLength >= 20 && transportAt < packet.tail, 'no transport header to cut behind')
  const headerLength = networkLength + (isUdp ? UDP_HEADER : tcpHeaderLength(packet.page.view, transportAt))
  assert(headerLength <= packet.headLength, 'headers that are not linear')
  const payload = packet.length - headerLength
  const size = packet.segmentBytes
  let complete = true
  // A super-segment without payload is one segment too.
  for (let at = 0, index = 0; at < payload || index === 0; at += size, index++) {
    const part = Packet.allocate(pool, SMALL_PAGE - HEADROOM)
    if (part === null) {
      complete = false
      break
    }
    const length = Math.min(size, payload - at)
    const network = part.put(headerLength)
    packet.copyTo(0, headerLength, part.page.bytes, network)
    if (length > 0) packet.share(part, headerLength + at, length)
    part.networkAt = network
    part.transportAt = network + networkLength
    part.interfaceIndex = packet.interfaceIndex
    part.linkCast = packet.linkCast
    part.note = packet.note
    if (isUdp) part.page.view.setUint16(part.transportAt + UDP_LENGTH, UDP_HEADER + length)
    else rebuildTcp(part, at, at + length === payload)
    rebuildChecksum(part, isUdp, leavePartial)
    rebuildIp(part, index)
    emit(part)
  }
  packet.release()
  return complete
}

/** Gives a segment its sequence number and the flags that belong to it alone. */
function rebuildTcp(part: Packet, payloadAt: number, last: boolean): void {
  const { view } = part.page
  const at = part.transportAt
  view.setInt32(at + TCP_SEQUENCE, seqAdd(tcpSeq(view, at), payloadAt))
  let flags = view.getUint16(at + TCP_OFFSET_AND_FLAGS)
  if (!last) flags &= ~(FIN | PSH)
  // RFC 3168 §6.1.2: CWR is set on the first new data packet only; the peer would take a second for a new reduction.
  if (payloadAt > 0) flags &= ~CWR
  view.setUint16(at + TCP_OFFSET_AND_FLAGS, flags)
}

/** Writes the transport checksum anew, pseudo-header included (RFC 9293 §3.1, RFC 8200 §8.1). */
function rebuildChecksum(part: Packet, isUdp: boolean, leavePartial: boolean): void {
  const { page, networkAt, transportAt } = part
  const isIpv4 = ipVersion(page.view, networkAt) === 4
  const addresses = isIpv4 ? sumOctets(page, networkAt + 12, 8) : sumOctets(page, networkAt + 8, 32)
  const length = part.length - (transportAt - networkAt)
  part.checksum = 'partial'
  part.checksumStart = transportAt
  part.checksumField = transportAt + (isUdp ? UDP_CHECKSUM : TCP_CHECKSUM_AT)
  const pseudo = addresses + (isUdp ? PROTOCOL_UDP : PROTOCOL_TCP) + length
  page.view.setUint16(part.checksumField, fold(pseudo))
  if (!leavePartial) completeChecksum(part)
}

/** Gives a segment its lengths and, over IPv4, an identification and a header checksum of its own (RFC 6864). */
function rebuildIp(part: Packet, index: number): void {
  const { page, networkAt } = part
  const { view } = page
  if (ipVersion(view, networkAt) === 6) {
    view.setUint16(networkAt + 4, part.length - IPV6_HEADER)
    return
  }
  view.setUint16(networkAt + 2, part.length)
  view.setUint16(networkAt + 4, view.getUint16(networkAt + 4) + index)
  completeIpv4Checksum(page, networkAt)
}
