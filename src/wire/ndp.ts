// Neighbour discovery (RFC 4861): solicitations, advertisements, redirects and their options. The checks
// are those of §6.1, §7.1 and §8.1; that the hop limit is 255 and the checksum right, ip/ has seen before it
// calls them. Every message must be linear up to its end.
//
//    0         4          8          24         40
//   | ICMPv6  | reserved | target   | options              neighbour solicitation
//   | ICMPv6  | R S O    | target   | options              neighbour advertisement
//   | ICMPv6  | reserved | options                         router solicitation
//   | ICMPv6  | hop limit, M O, lifetime | reachable time (8) | retransmit timer (12) | options (16)
//   | ICMPv6  | reserved | target   | destination | options                                redirect

import type { Drop } from '../counters.ts'
import { IpAddress, solicitedNode } from './address.ts'
import { MacAddress } from './ethernet.ts'
import { emitIcmp, icmpCode } from './icmp4.ts'
import {
  ICMP6_NEIGHBOR_ADVERTISEMENT,
  ICMP6_NEIGHBOR_SOLICITATION,
  ICMP6_REDIRECT,
  ICMP6_ROUTER_ADVERTISEMENT,
  ICMP6_ROUTER_SOLICITATION,
} from './icmp6.ts'

export const NDP_HOP_LIMIT = 255
export const ROUTER_SOLICITATION_HEADER = 8
export const ROUTER_ADVERTISEMENT_HEADER = 16
/** Of solicitations and advertisements alike. */
export const NEIGHBOR_HEADER = 24
export const REDIRECT_HEADER = 40

export const OPTION_SOURCE_MAC = 1
export const OPTION_TARGET_MAC = 2
export const OPTION_PREFIX = 3
export const OPTION_REDIRECTED = 4
export const OPTION_MTU = 5

export const LINK_LAYER_OPTION = 8
export const PREFIX_OPTION = 32
export const MTU_OPTION = 8
/** What stands before the quoted packet. */
export const REDIRECTED_OPTION_HEADER = 8

/** A lifetime without end, in seconds. */
export const INFINITE_LIFETIME = 0xffff_ffff

const ROUTER_FLAG = 0x80
const SOLICITED_FLAG = 0x40
const OVERRIDE_FLAG = 0x20
const MANAGED_FLAG = 0x80
const OTHER_FLAG = 0x40
const ON_LINK_FLAG = 0x80
const AUTONOMOUS_FLAG = 0x40

/** Of solicitations, advertisements and redirects. */
export const ndpTarget = (view: DataView, at: number): IpAddress => IpAddress.read6(view, at + 8)
export const redirectDestination = (view: DataView, at: number): IpAddress => IpAddress.read6(view, at + 24)
export const advertisementRouter = (view: DataView, at: number): boolean => (view.getUint8(at + 4) & ROUTER_FLAG) !== 0
export const advertisementSolicited = (view: DataView, at: number): boolean =>
  (view.getUint8(at + 4) & SOLICITED_FLAG) !== 0
export const advertisementOverride = (view: DataView, at: number): boolean =>
  (view.getUint8(at + 4) & OVERRIDE_FLAG) !== 0

export const ndpOptionType = (view: DataView, at: number): number => view.getUint8(at)
/** In bytes, type and length included. */
export const ndpOptionLength = (view: DataView, at: number): number => view.getUint8(at + 1) << 3

/**
 * Where the option after the one at `at` begins; `end` when there is none, or when this one is malformed:
 * `for (let option = first; option < end; option = nextNdpOption(view, option, end))`, after a check…() of the message.
 */
export function nextNdpOption(view: DataView, at: number, end: number): number {
  if (at + 2 > end) return end
  const length = ndpOptionLength(view, at)
  return length === 0 || at + length > end ? end : at + length
}

/** RFC 4861 §4.6: an option of length 0, or one that ends beyond the message, discards the message. */
export function checkNdpOptions(view: DataView, at: number, end: number): Drop | undefined {
  let option = at
  while (option < end) {
    if (option + 2 > end) return 'ndpMalformed'
    const length = ndpOptionLength(view, option)
    if (length === 0 || option + length > end) return 'ndpMalformed'
    option += length
  }
  return undefined
}

/** The first whole option of this type; -1 without one. */
export function findNdpOption(view: DataView, at: number, end: number, type: number): number {
  for (let option = at; option < end; option = nextNdpOption(view, option, end)) {
    if (ndpOptionType(view, option) !== type || option + 2 > end) continue
    const length = ndpOptionLength(view, option)
    return length > 0 && option + length <= end ? option : -1
  }
  return -1
}

/** The MAC address of the first option of this type; null without one, or where it does not hold 6 bytes. */
export function ndpMac(view: DataView, optionsAt: number, end: number, type: number): MacAddress | null {
  const option = findNdpOption(view, optionsAt, end, type)
  if (option < 0 || ndpOptionLength(view, option) !== LINK_LAYER_OPTION) return null
  return MacAddress.read(view, option + 2)
}

/** RFC 4861 §7.1.1. */
export function checkNeighborSolicitation(
  view: DataView,
  at: number,
  length: number,
  source: IpAddress,
  destination: IpAddress,
): Drop | undefined {
  if (length < NEIGHBOR_HEADER || icmpCode(view, at) !== 0) return 'ndpMalformed'
  const target = ndpTarget(view, at)
  if (target.isMulticast) return 'ndpMalformed'
  if (source.isUnspecified) {
    // A probe for duplicates goes to the solicited-node group and must not teach an address.
    if (!destination.equals(solicitedNode(destination))) return 'ndpMalformed'
    if (findNdpOption(view, at + NEIGHBOR_HEADER, at + length, OPTION_SOURCE_MAC) >= 0) return 'ndpMalformed'
  }
  return checkNdpOptions(view, at + NEIGHBOR_HEADER, at + length)
}

/** RFC 4861 §7.1.2. */
export function checkNeighborAdvertisement(
  view: DataView,
  at: number,
  length: number,
  destination: IpAddress,
): Drop | undefined {
  if (length < NEIGHBOR_HEADER || icmpCode(view, at) !== 0) return 'ndpMalformed'
  if (ndpTarget(view, at).isMulticast) return 'ndpMalformed'
  if (destination.isMulticast && advertisementSolicited(view, at)) return 'ndpMalformed'
  return checkNdpOptions(view, at + NEIGHBOR_HEADER, at + length)
}

/** RFC 4861 §6.1.1. */
export function checkRouterSolicitation(
  view: DataView,
  at: number,
  length: number,
  source: IpAddress,
): Drop | undefined {
  if (length < ROUTER_SOLICITATION_HEADER || icmpCode(view, at) !== 0) return 'ndpMalformed'
  const options = at + ROUTER_SOLICITATION_HEADER
  if (source.isUnspecified && findNdpOption(view, options, at + length, OPTION_SOURCE_MAC) >= 0) return 'ndpMalformed'
  return checkNdpOptions(view, options, at + length)
}

/** RFC 4861 §6.1.2. */
export function checkRouterAdvertisement(
  view: DataView,
  at: number,
  length: number,
  source: IpAddress,
): Drop | undefined {
  if (length < ROUTER_ADVERTISEMENT_HEADER || icmpCode(view, at) !== 0) return 'ndpMalformed'
  if (!source.isLinkLocal) return 'ndpMalformed'
  return checkNdpOptions(view, at + ROUTER_ADVERTISEMENT_HEADER, at + length)
}

/** RFC 4861 §8.1, but for whether the source is the first hop to the destination: that only the routes know. */
export function checkRedirect(view: DataView, at: number, length: number, source: IpAddress): Drop | undefined {
  if (length < REDIRECT_HEADER || icmpCode(view, at) !== 0) return 'ndpMalformed'
  if (!source.isLinkLocal) return 'ndpMalformed'
  const target = ndpTarget(view, at)
  const destination = redirectDestination(view, at)
  if (destination.isMulticast) return 'ndpMalformed'
  if (!target.isLinkLocal && !target.equals(destination)) return 'ndpMalformed'
  return checkNdpOptions(view, at + REDIRECT_HEADER, at + length)
}

/** What a router advertisement says besides its prefixes. */
export interface RouterAdvertisement {
  /** 0: unspecified, as with both times. */
  hopLimit: number
  managed: boolean
  otherConfiguration: boolean
  /** RFC 4191 §2.1: 1 high, 0 medium, -1 low. */
  preference: number
  /** In seconds; 0: no default router. */
  lifetime: number
  /** In milliseconds. */
  reachableTime: number
  /** In milliseconds. */
  retransmitTime: number
  sourceMac: MacAddress | null
  /** 0: none given. */
  mtu: number
}

export function readRouterAdvertisement(view: DataView, at: number, end: number): RouterAdvertisement {
  const options = at + ROUTER_ADVERTISEMENT_HEADER
  const mtuOption = findNdpOption(view, options, end, OPTION_MTU)
  const hasMtu = mtuOption >= 0 && ndpOptionLength(view, mtuOption) === MTU_OPTION
  const flags = view.getUint8(at + 5)
  const preference = (flags >>> 3) & 3
  const lifetime = view.getUint16(at + 6)
  return {
    hopLimit: view.getUint8(at + 4),
    managed: (flags & MANAGED_FLAG) !== 0,
    otherConfiguration: (flags & OTHER_FLAG) !== 0,
    // RFC 4191 §2.2: the reserved value counts as medium.
    preference: preference === 1 ? 1 : preference === 3 ? -1 : 0,
    lifetime,
    reachableTime: view.getUint32(at + 8),
    retransmitTime: view.getUint32(at + 12),
    sourceMac: ndpMac(view, options, end, OPTION_SOURCE_MAC),
    mtu: hasMtu ? view.getUint32(mtuOption + 4) : 0,
  }
}

export interface PrefixInformation {
  prefix: IpAddress
  length: number
  onLink: boolean
  autonomous: boolean
  /** In seconds; INFINITE_LIFETIME is for ever. */
  validLifetime: number
  preferredLifetime: number
}

/** The prefix information option at `at`; null where the option is of another type, or not of its shape. */
export function readPrefixInformation(view: DataView, at: number): PrefixInformation | null {
  if (ndpOptionType(view, at) !== OPTION_PREFIX || ndpOptionLength(view, at) !== PREFIX_OPTION) return null
  const length = view.getUint8(at + 2)
  if (length > 128) return null
  const flags = view.getUint8(at + 3)
  return {
    prefix: IpAddress.read6(view, at + 16),
    length,
    onLink: (flags & ON_LINK_FLAG) !== 0,
    autonomous: (flags & AUTONOMOUS_FLAG) !== 0,
    validLifetime: view.getUint32(at + 4),
    preferredLifetime: view.getUint32(at + 8),
  }
}

// The emitters return the message's length and leave its checksum 0.

export function emitNeighborSolicitation(
  view: DataView,
  at: number,
  target: IpAddress,
  sourceMac: MacAddress | null,
): number {
  emitIcmp(view, at, ICMP6_NEIGHBOR_SOLICITATION, 0, 0)
  target.writeTo(view, at + 8)
  return NEIGHBOR_HEADER + emitMacOption(view, at + NEIGHBOR_HEADER, OPTION_SOURCE_MAC, sourceMac)
}

export interface NeighborAdvertisementFields {
  target: IpAddress
  mac: MacAddress | null
  router: boolean
  solicited: boolean
  override: boolean
}

export function emitNeighborAdvertisement(view: DataView, at: number, fields: NeighborAdvertisementFields): number {
  emitIcmp(view, at, ICMP6_NEIGHBOR_ADVERTISEMENT, 0, 0)
  view.setUint8(
    at + 4,
    (fields.router ? ROUTER_FLAG : 0) | (fields.solicited ? SOLICITED_FLAG : 0) | (fields.override ? OVERRIDE_FLAG : 0),
  )
  fields.target.writeTo(view, at + 8)
  return NEIGHBOR_HEADER + emitMacOption(view, at + NEIGHBOR_HEADER, OPTION_TARGET_MAC, fields.mac)
}

export function emitRouterSolicitation(view: DataView, at: number, sourceMac: MacAddress | null): number {
  emitIcmp(view, at, ICMP6_ROUTER_SOLICITATION, 0, 0)
  const options = at + ROUTER_SOLICITATION_HEADER
  return ROUTER_SOLICITATION_HEADER + emitMacOption(view, options, OPTION_SOURCE_MAC, sourceMac)
}

export interface RouterAdvertisementFields extends RouterAdvertisement {
  prefixes: readonly PrefixInformation[]
}

export function emitRouterAdvertisement(view: DataView, at: number, fields: RouterAdvertisementFields): number {
  emitIcmp(view, at, ICMP6_ROUTER_ADVERTISEMENT, 0, 0)
  view.setUint8(at + 4, fields.hopLimit)
  view.setUint8(
    at + 5,
    (fields.managed ? MANAGED_FLAG : 0) | (fields.otherConfiguration ? OTHER_FLAG : 0) | ((fields.preference & 3) << 3),
  )
  view.setUint16(at + 6, fields.lifetime)
  view.setUint32(at + 8, fields.reachableTime)
  view.setUint32(at + 12, fields.retransmitTime)
  let option = at + ROUTER_ADVERTISEMENT_HEADER
  option += emitMacOption(view, option, OPTION_SOURCE_MAC, fields.sourceMac)
  if (fields.mtu !== 0) {
    emitOptionHeader(view, option, OPTION_MTU, MTU_OPTION)
    view.setUint16(option + 2, 0)
    view.setUint32(option + 4, fields.mtu)
    option += MTU_OPTION
  }
  for (const prefix of fields.prefixes) option += emitPrefix(view, option, prefix)
  return option - at
}

/** Without the redirected header option: the caller adds it where it quotes the packet (emitRedirectedOption). */
export function emitRedirect(
  view: DataView,
  at: number,
  target: IpAddress,
  destination: IpAddress,
  targetMac: MacAddress | null,
): number {
  emitIcmp(view, at, ICMP6_REDIRECT, 0, 0)
  target.writeTo(view, at + 8)
  destination.writeTo(view, at + 24)
  return REDIRECT_HEADER + emitMacOption(view, at + REDIRECT_HEADER, OPTION_TARGET_MAC, targetMac)
}

/** The 8 bytes ahead of a quoted packet of `quotedLength` bytes, a multiple of 8 (RFC 4861 §4.6.3). */
export function emitRedirectedOption(view: DataView, at: number, quotedLength: number): number {
  emitOptionHeader(view, at, OPTION_REDIRECTED, REDIRECTED_OPTION_HEADER + quotedLength)
  view.setUint16(at + 2, 0)
  view.setUint32(at + 4, 0)
  return REDIRECTED_OPTION_HEADER
}

function emitOptionHeader(view: DataView, at: number, type: number, length: number): void {
  view.setUint8(at, type)
  view.setUint8(at + 1, length >>> 3)
}

function emitMacOption(view: DataView, at: number, type: number, mac: MacAddress | null): number {
  if (mac === null) return 0
  emitOptionHeader(view, at, type, LINK_LAYER_OPTION)
  mac.writeTo(view, at + 2)
  return LINK_LAYER_OPTION
}

function emitPrefix(view: DataView, at: number, prefix: PrefixInformation): number {
  emitOptionHeader(view, at, OPTION_PREFIX, PREFIX_OPTION)
  view.setUint8(at + 2, prefix.length)
  view.setUint8(at + 3, (prefix.onLink ? ON_LINK_FLAG : 0) | (prefix.autonomous ? AUTONOMOUS_FLAG : 0))
  view.setUint32(at + 4, prefix.validLifetime)
  view.setUint32(at + 8, prefix.preferredLifetime)
  view.setUint32(at + 12, 0)
  prefix.prefix.writeTo(view, at + 16)
  return PREFIX_OPTION
}
