// Segments that belong to no connection, and their stateless answer (RFC 9293 §3.10.7.1): RST.

import { Packet } from '../buf/packet.ts'
import type { PagePool } from '../buf/page.ts'
import type { IpAddress } from '../wire/address.ts'
import { fold } from '../wire/checksum.ts'
import { PROTOCOL_TCP, pseudoHeaderSum } from '../wire/ipv4.ts'
import { type Seq, seqAdd } from '../wire/sequence.ts'
import { ACK, emitTcp, FIN, RST, SYN, TCP_CHECKSUM_AT, TCP_HEADER } from '../wire/tcp.ts'
import { emitTcpOptions, TcpOptions, tcpOptionsLength } from '../wire/tcp-options.ts'
import type { Segment } from './environment.ts'

/** Who speaks to whom: from our side of the reply. */
export interface Endpoints {
  readonly local: IpAddress
  readonly localPort: number
  readonly remote: IpAddress
  readonly remotePort: number
}

interface StrayFields {
  readonly seq: Seq
  readonly ack: Seq
  readonly flags: number
  readonly window: number
}

/** The RST that RFC 9293 §3.5.2 asks for in its groups 1 and 2, its data at the TCP header; null: the segment is an RST, or memory is short. */
export function resetFor(pool: PagePool, segment: Segment, ends: Endpoints): Packet | null {
  if (segment.has(RST)) return null
  const length = segment.length + (segment.has(SYN) ? 1 : 0) + (segment.has(FIN) ? 1 : 0)
  const hasAck = segment.has(ACK)
  const reset = bareSegment(pool, ends, {
    seq: hasAck ? segment.ack : (0 as Seq),
    ack: hasAck ? (0 as Seq) : seqAdd(segment.seq, length),
    flags: hasAck ? RST : RST | ACK,
    window: 0,
  })
  if (reset !== null) reset.note = 'reset: no connection takes the segment'
  return reset
}

const NO_OPTIONS = new TcpOptions()

/** A segment without options and data, its checksum left partial; null: memory is short. */
export const bareSegment = (pool: PagePool, ends: Endpoints, fields: StrayFields): Packet | null =>
  segmentWith(pool, ends, fields, NO_OPTIONS)

/** The same, with options. */
export function segmentWith(pool: PagePool, ends: Endpoints, fields: StrayFields, options: TcpOptions): Packet | null {
  const headerLength = TCP_HEADER + tcpOptionsLength(options)
  const packet = Packet.allocate(pool, 0)
  if (packet === null) return null
  const at = packet.push(headerLength)
  const pseudo = pseudoHeaderSum(ends.local, ends.remote, PROTOCOL_TCP, headerLength)
  emitTcp(packet.page.view, at, {
    ...fields,
    sourcePort: ends.localPort,
    destinationPort: ends.remotePort,
    headerLength,
    checksum: fold(pseudo),
    urgentPointer: 0,
  })
  emitTcpOptions(packet.page.view, at + TCP_HEADER, options)
  packet.transportAt = at
  packet.checksum = 'partial'
  packet.checksumStart = at
  packet.checksumField = at + TCP_CHECKSUM_AT
  return packet
}
