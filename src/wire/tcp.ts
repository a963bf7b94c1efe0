// The TCP header (RFC 9293 §3.1). Its options are in tcp-options.ts, the arithmetic of sequence numbers in
// sequence.ts.
//
//   |          Source Port          |       Destination Port        |
//   |                        Sequence Number                        |
//   |                    Acknowledgment Number                      |
//   | Offset|0 0 0|A|C E U A P R S F|            Window             |
//   |           Checksum            |         Urgent Pointer        |
//   |                    Options, padded to 4                       |

import type { Drop } from '../counters.ts'
import type { Seq } from './sequence.ts'

export const TCP_HEADER = 20
export const TCP_MAX_HEADER = 60
/** Where the checksum stands in the header: offloads name the place. */
export const TCP_CHECKSUM_AT = 16

export const FIN = 0x001
export const SYN = 0x002
export const RST = 0x004
export const PSH = 0x008
export const ACK = 0x010
export const URG = 0x020
export const ECE = 0x040
export const CWR = 0x080
/** Accurate ECN (RFC 9768); once the nonce sum. */
export const AE = 0x100

const FLAGS_MASK = 0x1ff

export const tcpSourcePort = (view: DataView, at: number): number => view.getUint16(at)
export const tcpDestinationPort = (view: DataView, at: number): number => view.getUint16(at + 2)
export const tcpSeq = (view: DataView, at: number): Seq => view.getInt32(at + 4) as Seq
export const tcpAck = (view: DataView, at: number): Seq => view.getInt32(at + 8) as Seq
/** In bytes, options included. */
export const tcpHeaderLength = (view: DataView, at: number): number => (view.getUint8(at + 12) >>> 4) << 2
export const tcpFlags = (view: DataView, at: number): number => view.getUint16(at + 12) & FLAGS_MASK
/** As it stands, before any scaling. */
export const tcpWindow = (view: DataView, at: number): number => view.getUint16(at + 14)
export const tcpChecksum = (view: DataView, at: number): number => view.getUint16(at + TCP_CHECKSUM_AT)
export const tcpUrgentPointer = (view: DataView, at: number): number => view.getUint16(at + 18)

/** Undefined when the first `linear` readable bytes hold a whole header with its options. */
export function checkTcp(view: DataView, at: number, linear: number): Drop | undefined {
  if (linear < TCP_HEADER) return 'tcpHeaderLength'
  const headerLength = tcpHeaderLength(view, at)
  return headerLength < TCP_HEADER || headerLength > linear ? 'tcpHeaderLength' : undefined
}

export interface TcpFields {
  sourcePort: number
  destinationPort: number
  seq: Seq
  ack: Seq
  /** In bytes, options included: emitTcpOptions writes those. */
  headerLength: number
  flags: number
  window: number
  checksum: number
  urgentPointer: number
}

export function emitTcp(view: DataView, at: number, fields: TcpFields): void {
  view.setUint16(at, fields.sourcePort)
  view.setUint16(at + 2, fields.destinationPort)
  view.setInt32(at + 4, fields.seq)
  view.setInt32(at + 8, fields.ack)
  view.setUint16(at + 12, (fields.headerLength << 10) | fields.flags)
  view.setUint16(at + 14, fields.window)
  view.setUint16(at + 16, fields.checksum)
  view.setUint16(at + 18, fields.urgentPointer)
}
