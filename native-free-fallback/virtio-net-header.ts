// The virtio-net header that TAP, TUN and macvtap put before each frame when asked to (VIRTIO 1.2 §5.1.6;
// linux/virtio_net.h): what is left to be done to the frame. In the byte order of the machine, which is little
// endian wherever this runs.
//
//    0     1        2        4        6          8             10
//   +-----+--------+--------+--------+----------+-------------+
//   |flags|gso_type|hdr_len |gso_size|csum_start| csum_offset |     csum_start counts from the frame's first byte
//   +-----+--------+--------+--------+----------+-------------+

import type { Packet } from '../src/buf/packet.ts'
import type { Drop } from '../src/counters.ts'

export const VIRTIO_NET_HEADER = 10

const NEEDS_CHECKSUM = 1
const DATA_VALID = 2

const GSO_NONE = 0
const GSO_TCP4 = 1
const GSO_TCP6 = 4
const GSO_UDP_L4 = 5
/** The first segment carries CWR, the others do not: every cutter of ours does so unasked. */
const GSO_ECN = 0x80

const UDP_HEADER = 8
const TCP_MIN_HEADER = 20

/**
 * Writes to `packet` what the header at `at` says of it. The packet's data must begin at the frame; a header that
 * points outside of it, or asks for what we never offered to do, is a Drop.
 */
export function readVirtioNetHeader(view: DataView, at: number, packet: Packet): Drop | undefined {
  const flags = view.getUint8(at)
  const kind = view.getUint8(at + 1) & ~GSO_ECN
  if ((flags & NEEDS_CHECKSUM) !== 0) {
    const start = view.getUint16(at + 6, true)
    const field = start + view.getUint16(at + 8, true)
    if (field + 2 > packet.length) return 'offloadMalformed'
    packet.checksum = 'partial'
    packet.checksumStart = packet.data + start
    packet.checksumField = packet.data + field
  } else if ((flags & DATA_VALID) !== 0) packet.checksum = 'verified'
  if (kind === GSO_NONE) return undefined
  if (kind === GSO_TCP4) packet.segmentKind = 'tcp4'
  else if (kind === GSO_TCP6) packet.segmentKind = 'tcp6'
  else if (kind === GSO_UDP_L4) packet.segmentKind = 'udp'
  else return 'offloadMalformed'
  packet.segmentBytes = view.getUint16(at + 4, true)
  return packet.segmentBytes === 0 ? 'offloadMalformed' : undefined
}

/** Writes the header that describes `packet` at `at`. */
export function writeVirtioNetHeader(view: DataView, at: number, packet: Packet): void {
  view.setUint16(at, 0)
  view.setUint32(at + 2, 0)
  view.setUint32(at + 6, 0)
  if (packet.checksum === 'partial') {
    view.setUint8(at, NEEDS_CHECKSUM)
    view.setUint16(at + 6, packet.checksumStart - packet.data, true)
    view.setUint16(at + 8, packet.checksumField - packet.checksumStart, true)
  }
  if (packet.segmentBytes === 0 || packet.segmentKind === 'none') return
  view.setUint8(at + 1, gsoType(packet))
  view.setUint16(at + 2, packet.checksumStart - packet.data + transportHeader(packet), true)
  view.setUint16(at + 4, packet.segmentBytes, true)
}

function gsoType(packet: Packet): number {
  if (packet.segmentKind === 'tcp4') return GSO_TCP4
  return packet.segmentKind === 'tcp6' ? GSO_TCP6 : GSO_UDP_L4
}

/** A super-segment's checksum is always partial, so that checksumStart is where its transport header is. */
function transportHeader(packet: Packet): number {
  if (packet.segmentKind === 'udp') return UDP_HEADER
  const at = packet.checksumStart + 12
  return at < packet.tail ? (packet.page.view.getUint8(at) >>> 4) << 2 : TCP_MIN_HEADER
}
