// From a packet to the record that input.ts works on.

import type { Packet } from '../buf/packet.ts'
import { tcpAck, tcpFlags, tcpHeaderLength, tcpSeq, tcpUrgentPointer, tcpWindow } from '../wire/tcp.ts'
import { readTcpOptions } from '../wire/tcp-options.ts'
import type { Segment } from './environment.ts'

/** As Linux counts: a super-segment for as many segments as it came from, or will be cut into. To be asked of the payload alone. */
export const segmentsIn = (packet: Packet): number =>
  packet.segmentBytes > 0 ? Math.max(1, Math.ceil(packet.length / packet.segmentBytes)) : 1

/** Reads the header into the record and pulls it: the packet's data begins at the payload. */
export function readSegment(packet: Packet, segment: Segment): void {
  const { view } = packet.page
  const at = packet.data
  const headerLength = tcpHeaderLength(view, at)
  segment.seq = tcpSeq(view, at)
  segment.ack = tcpAck(view, at)
  segment.flags = tcpFlags(view, at)
  segment.window = tcpWindow(view, at)
  segment.urgentPointer = tcpUrgentPointer(view, at)
  readTcpOptions(view, at, headerLength, segment.options)
  packet.pull(headerLength)
  segment.length = packet.length
}
