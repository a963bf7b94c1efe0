// IPv6 extension headers (RFC 8200 §4): ip/ walks them up to the upper-layer protocol, or up to a fragment
// header, and emits the two kinds that this stack sends: the fragment header and MLD's router alert.
// The options that are understood are padding and the router alert (RFC 2711); every other one goes the way
// that the two high bits of its type ask for.

import type { Drop } from '../counters.ts'
import { PROBLEM6_HEADER, PROBLEM6_NEXT_HEADER, PROBLEM6_OPTION } from './icmp6.ts'

export const NEXT_HOP_BY_HOP = 0
export const NEXT_ROUTING = 43
export const NEXT_FRAGMENT = 44
export const NEXT_ESP = 50
export const NEXT_AH = 51
export const NEXT_NONE = 59
export const NEXT_DESTINATION = 60

export const FRAGMENT_HEADER = 8
/** The hop-by-hop header that holds a router alert and two bytes of padding. */
export const ROUTER_ALERT_HEADER = 8
/** The most extension headers that one packet may have; RFC 8504 §5.3 lets a host set such a limit. */
export const MAX_EXTENSIONS = 8

const NEXT_HEADER_IN_IPV6 = 6
const OPTION_PAD1 = 0
const OPTION_PADN = 1
const OPTION_ROUTER_ALERT6 = 5
/** RFC 2711 §2.1: the packet holds an MLD message. */
const ALERT_MLD = 0

/** What walkExtensions found; one record, used again for every packet. */
export class ExtensionWalk {
  /** What the walk stopped at: an upper-layer protocol, NEXT_FRAGMENT, NEXT_NONE, or a header unknown here. */
  nextHeader = NEXT_NONE
  /** Where that header begins. */
  at = 0
  /** Where the byte is that named it: what a parameter problem points at, and what reassembly patches. */
  nextHeaderFieldAt = 0
  routerAlert = false
  drop: Drop | undefined = undefined
  /** -1: drop in silence; else the code of the parameter problem to send. */
  problemCode = -1
  /** Counted from the start of the IPv6 header. */
  problemPointer = 0
  /** Whether the problem is told even when the packet was multicast (RFC 8200 §4.2, option type 10). */
  problemToMulticast = false
}

/**
 * Walks from `at`, where a header of type `firstNextHeader` begins, up to the first header that is no extension, or
 * to a fragment header. Bytes from `end` on count as missing. Authentication and ESP headers end the walk.
 */
export function walkExtensions(
  view: DataView,
  packetAt: number,
  firstNextHeader: number,
  firstNextHeaderFieldAt: number,
  at: number,
  end: number,
  walk: ExtensionWalk,
): Drop | undefined {
  walk.nextHeader = firstNextHeader
  walk.nextHeaderFieldAt = firstNextHeaderFieldAt
  walk.at = at
  walk.routerAlert = false
  walk.drop = undefined
  walk.problemCode = -1
  walk.problemPointer = 0
  walk.problemToMulticast = false
  for (let count = 0; isExtension(walk.nextHeader); count++) {
    if (count === MAX_EXTENSIONS) return (walk.drop = 'ipExtensionTooMany')
    if (walk.at + 8 > end) return (walk.drop = 'ipExtensionMalformed')
    if (walk.nextHeader === NEXT_FRAGMENT) return undefined
    const headerEnd = walk.at + ((view.getUint8(walk.at + 1) + 1) << 3)
    if (headerEnd > end) return (walk.drop = 'ipExtensionMalformed')
    const drop =
      walk.nextHeader === NEXT_ROUTING
        ? checkRouting(view, packetAt, walk)
        : walkOptions(view, packetAt, headerEnd, walk)
    if (drop !== undefined) return (walk.drop = drop)
    walk.nextHeaderFieldAt = walk.at
    walk.nextHeader = view.getUint8(walk.at)
    walk.at = headerEnd
  }
  return undefined
}

const isExtension = (nextHeader: number): boolean =>
  nextHeader === NEXT_HOP_BY_HOP ||
  nextHeader === NEXT_ROUTING ||
  nextHeader === NEXT_FRAGMENT ||
  nextHeader === NEXT_DESTINATION

/** RFC 8200 §4.4. Type 0 counts as unknown (RFC 5095 §3), as do all others: this node is on nobody's route. */
function checkRouting(view: DataView, packetAt: number, walk: ExtensionWalk): Drop | undefined {
  const segmentsLeft = view.getUint8(walk.at + 3)
  if (segmentsLeft === 0) return undefined
  return problem(walk, PROBLEM6_HEADER, walk.at + 2 - packetAt, 'ipExtensionUnknown')
}

/** RFC 8200 §4.2: the options of a hop-by-hop or a destination options header. */
function walkOptions(view: DataView, packetAt: number, headerEnd: number, walk: ExtensionWalk): Drop | undefined {
  const hopByHop = walk.nextHeader === NEXT_HOP_BY_HOP
  // RFC 8200 §4: a zero that names it anywhere but in the IPv6 header is an unknown next header.
  if (hopByHop && walk.nextHeaderFieldAt !== packetAt + NEXT_HEADER_IN_IPV6) {
    return problem(walk, PROBLEM6_NEXT_HEADER, walk.nextHeaderFieldAt - packetAt, 'ipExtensionMalformed')
  }
  let option = walk.at + 2
  while (option < headerEnd) {
    const type = view.getUint8(option)
    if (type === OPTION_PAD1) {
      option++
      continue
    }
    if (option + 2 > headerEnd) return 'ipExtensionMalformed'
    const length = view.getUint8(option + 1)
    if (option + 2 + length > headerEnd) return 'ipExtensionMalformed'
    if (type === OPTION_ROUTER_ALERT6 && hopByHop) {
      if (length !== 2) return 'ipExtensionMalformed'
      walk.routerAlert = true
    } else if (type !== OPTION_PADN && type >>> 6 !== 0) {
      return unknownOption(type, option - packetAt, walk)
    }
    option += 2 + length
  }
  return undefined
}

function unknownOption(type: number, pointer: number, walk: ExtensionWalk): Drop {
  const action = type >>> 6
  if (action === 1) return 'ipExtensionUnknown'
  walk.problemToMulticast = action === 2
  return problem(walk, PROBLEM6_OPTION, pointer, 'ipExtensionUnknown')
}

function problem(walk: ExtensionWalk, code: number, pointer: number, drop: Drop): Drop {
  walk.problemCode = code
  walk.problemPointer = pointer
  return drop
}

export const fragmentNextHeader = (view: DataView, at: number): number => view.getUint8(at)
/** In bytes. */
export const fragment6Offset = (view: DataView, at: number): number => view.getUint16(at + 2) & 0xfff8
export const fragment6More = (view: DataView, at: number): boolean => (view.getUint8(at + 3) & 1) !== 0
export const fragment6Identification = (view: DataView, at: number): number => view.getUint32(at + 4)

export interface FragmentFields {
  nextHeader: number
  /** In bytes, a multiple of 8. */
  offset: number
  more: boolean
  identification: number
}

export function emitFragmentHeader(view: DataView, at: number, fields: FragmentFields): void {
  view.setUint8(at, fields.nextHeader)
  view.setUint8(at + 1, 0)
  view.setUint16(at + 2, fields.offset | (fields.more ? 1 : 0))
  view.setUint32(at + 4, fields.identification >>> 0)
}

/** A hop-by-hop header of 8 bytes with the router alert that MLD messages carry (RFC 2711, RFC 3810 §5). */
export function emitRouterAlertHopByHop(view: DataView, at: number, nextHeader: number): void {
  view.setUint8(at, nextHeader)
  view.setUint8(at + 1, 0)
  view.setUint8(at + 2, OPTION_ROUTER_ALERT6)
  view.setUint8(at + 3, 2)
  view.setUint16(at + 4, ALERT_MLD)
  view.setUint8(at + 6, OPTION_PADN)
  view.setUint8(at + 7, 0)
}
