// What ICMP errors mean to a connection (RFC 1122 §4.2.3.9, RFC 5461). tcp.ts has checked that they are ours.

import type { NetErrorCode } from '../errors.ts'
import type { IcmpError } from '../ip/seams.ts'

/** RFC 1122 §4.2.3.9: what ends a connection that is not established yet, whoever began it. */
export const isHard = ({ kind }: IcmpError): boolean =>
  kind === 'port-unreachable' || kind === 'protocol-unreachable' || kind === 'admin-prohibited'

/** RFC 1122 §4.2.3.9, RFC 5461: what an error says of the peer. Null: nothing worth remembering. */
export function codeOf(error: IcmpError): NetErrorCode | null {
  switch (error.kind) {
    case 'port-unreachable':
    case 'protocol-unreachable':
      return 'ECONNREFUSED'
    case 'host-unreachable':
    case 'hop-limit-exceeded':
    case 'admin-prohibited':
      return 'EHOSTUNREACH'
    case 'net-unreachable':
      return 'ENETUNREACH'
    case 'parameter-problem':
      return 'EPROTO'
    default:
      return null
  }
}
