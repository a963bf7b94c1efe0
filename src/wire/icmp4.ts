// ICMP for IPv4 (RFC 792, RFC 1191, RFC 1812): type, code, checksum, four bytes that depend on the type.

import type { Drop } from '../counters.ts'

export const ICMP4_HEADER = 8

export const ICMP4_ECHO_REPLY = 0
export const ICMP4_UNREACHABLE = 3
export const ICMP4_SOURCE_QUENCH = 4
export const ICMP4_REDIRECT = 5
export const ICMP4_ECHO = 8
export const ICMP4_TIME_EXCEEDED = 11
export const ICMP4_PARAMETER_PROBLEM = 12
export const ICMP4_TIMESTAMP = 13
export const ICMP4_TIMESTAMP_REPLY = 14

/** Codes of ICMP4_UNREACHABLE. */
export const UNREACHABLE4_NET = 0
export const UNREACHABLE4_HOST = 1
export const UNREACHABLE4_PROTOCOL = 2
export const UNREACHABLE4_PORT = 3
export const UNREACHABLE4_FRAGMENTATION_NEEDED = 4
export const UNREACHABLE4_SOURCE_ROUTE_FAILED = 5
export const UNREACHABLE4_HOST_UNKNOWN = 7
export const UNREACHABLE4_NET_PROHIBITED = 9
export const UNREACHABLE4_HOST_PROHIBITED = 10
export const UNREACHABLE4_ADMIN_PROHIBITED = 13

/** Codes of time exceeded, in both families. */
export const TIME_EXCEEDED_HOPS = 0
export const TIME_EXCEEDED_REASSEMBLY = 1

export const icmpType = (view: DataView, at: number): number => view.getUint8(at)
export const icmpCode = (view: DataView, at: number): number => view.getUint8(at + 1)
export const icmpChecksum = (view: DataView, at: number): number => view.getUint16(at + 2)
export const echoIdentifier = (view: DataView, at: number): number => view.getUint16(at + 4)
export const echoSequence = (view: DataView, at: number): number => view.getUint16(at + 6)
/** The next-hop MTU of fragmentation needed (RFC 1191 §4); 0 from routers that do not say. */
export const fragmentationNeededMtu = (view: DataView, at: number): number => view.getUint16(at + 6)
/** The offending byte of a parameter problem. */
export const parameterProblem4Pointer = (view: DataView, at: number): number => view.getUint8(at + 4)

export const isIcmp4Error = (type: number): boolean =>
  type === ICMP4_UNREACHABLE ||
  type === ICMP4_SOURCE_QUENCH ||
  type === ICMP4_REDIRECT ||
  type === ICMP4_TIME_EXCEEDED ||
  type === ICMP4_PARAMETER_PROBLEM

/** Undefined when there is a whole ICMP header; serves both families. */
export const checkIcmp = (linear: number): Drop | undefined => (linear < ICMP4_HEADER ? 'icmpMalformed' : undefined)

/** Writes type, code, a zero checksum and the four type-dependent bytes; serves both families. */
export function emitIcmp(view: DataView, at: number, type: number, code: number, rest: number): void {
  view.setUint8(at, type)
  view.setUint8(at + 1, code)
  view.setUint16(at + 2, 0)
  view.setUint32(at + 4, rest >>> 0)
}

/** The type-dependent bytes of an echo. */
export const echoRest = (identifier: number, sequence: number): number => ((identifier << 16) | sequence) >>> 0
