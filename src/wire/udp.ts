// The UDP header (RFC 768; over IPv6 RFC 8200 §8.1 and RFC 6935).

import type { Drop } from '../counters.ts'

export const UDP_HEADER = 8

export const udpSourcePort = (view: DataView, at: number): number => view.getUint16(at)
export const udpDestinationPort = (view: DataView, at: number): number => view.getUint16(at + 2)
/** Header and payload. */
export const udpLength = (view: DataView, at: number): number => view.getUint16(at + 4)
/** 0: the sender computed none. */
export const udpChecksum = (view: DataView, at: number): number => view.getUint16(at + 6)

/** Undefined when `length` bytes of IP payload begin with a valid header; `linear` of them are readable at `at`. */
export function checkUdp(view: DataView, at: number, linear: number, length: number): Drop | undefined {
  if (linear < UDP_HEADER) return 'udpLength'
  const stated = udpLength(view, at)
  return stated < UDP_HEADER || stated > length ? 'udpLength' : undefined
}

export interface UdpFields {
  sourcePort: number
  destinationPort: number
  length: number
  checksum: number
}

export function emitUdp(view: DataView, at: number, fields: UdpFields): void {
  view.setUint16(at, fields.sourcePort)
  view.setUint16(at + 2, fields.destinationPort)
  view.setUint16(at + 4, fields.length)
  view.setUint16(at + 6, fields.checksum)
}
