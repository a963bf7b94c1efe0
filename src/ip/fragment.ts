// Cutting a datagram that is larger than the path takes (RFC 791 §3.2, RFC 8200 §4.5). A fragment that fits into a
// small page gets one of its own: sharing the datagram's large page would be charged with all of it in each queue
// that a fragment waits in. Larger ones share its pages, and only their headers are written.

import { assert } from '../assert.ts'
import { HEADROOM, Packet } from '../buf/packet.ts'
import { type PagePool, SMALL_PAGE } from '../buf/page.ts'
import { completeChecksum } from '../link/segmentation.ts'
import {
  completeIpv4Checksum,
  IPV4_HEADER,
  ipv4FlagsAndOffset,
  ipv4HeaderLength,
  MORE_FRAGMENTS,
} from '../wire/ipv4.ts'
import { IPV6_HEADER } from '../wire/ipv6.ts'
import { emitFragmentHeader, FRAGMENT_HEADER, NEXT_FRAGMENT } from '../wire/ipv6-extensions.ts'

/**
 * Cuts an IPv4 packet, whose data begins at its header, into fragments of at most `mtu` bytes and gives each to
 * `emit`; consumes it. A fragment is cut again as it should be. Returns how many, or 0 when the pool ran dry:
 * then nothing was emitted.
 */
export function fragment4(packet: Packet, mtu: number, pool: PagePool, emit: (part: Packet) => void): number {
  // The sum covers the whole datagram, so it cannot be left to a device that sees a part.
  if (!completeChecksum(packet)) return abandon([], packet)
  const { page } = packet
  const header = packet.data
  const headerLength = ipv4HeaderLength(page.view, header)
  const payload = packet.length - headerLength
  const step = (mtu - headerLength) & ~7
  assert(step > 0, 'an MTU below the minimum of IPv4')
  const flagsAndOffset = ipv4FlagsAndOffset(page.view, header)
  const parts: Packet[] = []
  for (let at = 0; at < payload; at += step) {
    const length = Math.min(step, payload - at)
    const part = partOf(packet, pool, headerLength + at, length)
    if (part === null) return abandon(parts, packet)
    // Options that are not to be copied are replaced by no-operations in all but the first (RFC 791 §3.1).
    const to = part.push(headerLength)
    for (let index = 0; index < headerLength; index++) part.page.bytes[to + index] = page.bytes[header + index]!
    if (at > 0 && headerLength > IPV4_HEADER) blankUncopiedOptions(part, to, headerLength)
    const last = at + length === payload
    const more = last ? flagsAndOffset & MORE_FRAGMENTS : MORE_FRAGMENTS
    const offset = (flagsAndOffset & 0x1fff) + (at >>> 3)
    part.page.view.setUint16(to + 2, headerLength + length)
    part.page.view.setUint16(to + 6, more | offset)
    completeIpv4Checksum(part.page, to)
    part.networkAt = to
    parts.push(part)
  }
  packet.release()
  for (const part of parts) emit(part)
  return parts.length
}

/**
 * Cuts an IPv6 packet that this host made. Its data begins at the IPv6 header, which no extension header of the
 * per-hop part follows. Otherwise as fragment4.
 */
export function fragment6(
  packet: Packet,
  mtu: number,
  identification: number,
  pool: PagePool,
  emit: (part: Packet) => void,
): number {
  if (!completeChecksum(packet)) return abandon([], packet)
  const { page } = packet
  const header = packet.data
  const nextHeader = page.view.getUint8(header + 6)
  const payload = packet.length - IPV6_HEADER
  const step = (mtu - IPV6_HEADER - FRAGMENT_HEADER) & ~7
  assert(step > 0, 'an MTU that leaves no room for a fragment')
  const parts: Packet[] = []
  for (let at = 0; at < payload; at += step) {
    const length = Math.min(step, payload - at)
    const part = partOf(packet, pool, IPV6_HEADER + at, length)
    if (part === null) return abandon(parts, packet)
    const fragmentAt = part.push(FRAGMENT_HEADER)
    const more = at + length < payload
    emitFragmentHeader(part.page.view, fragmentAt, { nextHeader, offset: at, more, identification })
    const to = part.push(IPV6_HEADER)
    for (let index = 0; index < IPV6_HEADER; index++) part.page.bytes[to + index] = page.bytes[header + index]!
    part.page.view.setUint16(to + 4, FRAGMENT_HEADER + length)
    part.page.view.setUint8(to + 6, NEXT_FRAGMENT)
    part.networkAt = to
    parts.push(part)
  }
  packet.release()
  for (const part of parts) emit(part)
  return parts.length
}

function partOf(packet: Packet, pool: PagePool, at: number, length: number): Packet | null {
  if (HEADROOM + length > SMALL_PAGE) return packet.slice(pool, at, length)
  const part = Packet.allocate(pool, length)
  if (part === null) return null
  packet.copyTo(at, length, part.page.bytes, part.put(length))
  part.note = packet.note
  return part
}

function abandon(parts: Packet[], packet: Packet): number {
  for (const part of parts) part.release()
  packet.release()
  return 0
}

function blankUncopiedOptions(part: Packet, at: number, headerLength: number): void {
  const { bytes } = part.page
  const end = at + headerLength
  let option = at + IPV4_HEADER
  while (option < end && bytes[option] !== 0) {
    const kind = bytes[option]!
    const length = kind === 1 ? 1 : Math.max(2, bytes[option + 1]!)
    if ((kind & 0x80) === 0) bytes.fill(1, option, Math.min(end, option + length))
    option += length
  }
}
