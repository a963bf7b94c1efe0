// The names that scripts give to ICMP types and codes of both families.

import type { Family } from '../wire/address.ts'
import { type IcmpBody, NotRunError } from './script.ts'

type Names = Readonly<Record<string, number>>

const TYPES4: Names = {
  echo_reply: 0,
  unreachable: 3,
  source_quench: 4,
  redirect: 5,
  echo_request: 8,
  time_exceeded: 11,
  parameter_problem: 12,
  timestamp_request: 13,
  timestamp_reply: 14,
  information_request: 15,
  information_reply: 16,
  address_mask_request: 17,
  address_mask_reply: 18,
}
const TYPES6: Names = {
  unreachable: 1,
  packet_too_big: 2,
  time_exceeded: 3,
  parameter_problem: 4,
  echo_request: 128,
  echo_reply: 129,
}
const UNREACHABLE4: Names = {
  net_unreachable: 0,
  host_unreachable: 1,
  protocol_unreachable: 2,
  port_unreachable: 3,
  frag_needed: 4,
  source_route_failed: 5,
  net_unknown: 6,
  host_unknown: 7,
  source_host_isolated: 8,
  net_prohibited: 9,
  host_prohibited: 10,
  net_unreachable_for_tos: 11,
  host_unreachable_for_tos: 12,
  packet_filtered: 13,
  precedence_violation: 14,
  precedence_cutoff: 15,
}
const UNREACHABLE6: Names = {
  no_route: 0,
  admin_prohibited: 1,
  not_neighbour: 2,
  address_unreachable: 3,
  port_unreachable: 4,
}
const EXCEEDED: Names = {
  exceeded_hop_limit: 0,
  exceeded_frag_time: 1,
  ttl_exceeded_in_transit: 0,
  frag_reass_exceeded: 1,
}
const PROBLEM: Names = { header_field: 0, unknown_next_header: 1, unknown_option: 2 }

export function typeNumber(name: string, family: Family): number {
  return look(family === 4 ? TYPES4 : TYPES6, name, 'type', `ICMP type`)
}

export function codeNumber(type: string, name: string | null, family: Family): number {
  if (name === null) return 0
  const names =
    type === 'unreachable'
      ? family === 4
        ? UNREACHABLE4
        : UNREACHABLE6
      : type === 'time_exceeded'
        ? EXCEEDED
        : PROBLEM
  return look(names, name, 'code', 'ICMP code')
}

/** `type_3`, `code_4`: by number. */
function look(names: Names, name: string, prefix: string, what: string): number {
  const number = names[name]
  if (number !== undefined) return number
  const match = new RegExp(`^${prefix}_(\\d+)$`).exec(name)
  if (match === null) throw new NotRunError(`the ${what} ${name}`)
  return Number(match[1])
}

/** The four bytes behind the checksum. */
export function icmpRest(body: IcmpBody, family: Family): number {
  if (body.id !== null) return (body.id << 16) >>> 0
  if (body.mtu === null) return 0
  return family === 4 ? body.mtu & 0xffff : body.mtu
}
