// Frames as a stranger on the link would send them: ARP, neighbour discovery, IGMP, MLD, whole, with the checksums right.

import { ALL_HOSTS4, ALL_NODES6, type IpAddress, IpPrefix, solicitedNode } from '../../src/wire/address.ts'
import { ARP_LENGTH, ARP_REPLY, ARP_REQUEST, emitArp } from '../../src/wire/arp.ts'
import {
  BROADCAST_MAC,
  ETHERNET_HEADER,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  emitEthernet,
  MacAddress,
  multicastMac,
  ZERO_MAC,
} from '../../src/wire/ethernet.ts'
import { emitIgmp } from '../../src/wire/igmp.ts'
import { PROTOCOL_IGMP, PROTOCOL_UDP } from '../../src/wire/ipv4.ts'
import { emitMld } from '../../src/wire/mld.ts'
import {
  emitNeighborAdvertisement,
  emitNeighborSolicitation,
  emitRouterAdvertisement,
  type PrefixInformation,
  type RouterAdvertisementFields,
} from '../../src/wire/ndp.ts'
import { built, checksummed, icmp6, ip4, ip6, joined, udp } from '../wire/frames.ts'

export const mac = (n: number): MacAddress => new MacAddress(0x0200, n)
export const STRANGER = mac(0x99)

export function frame(type: number, payload: Uint8Array, from: MacAddress, to: MacAddress): Uint8Array {
  return joined(
    built((view) => {
      emitEthernet(view, 0, to, from, type)
      return ETHERNET_HEADER
    }),
    payload,
  )
}

export interface ArpOptions {
  operation?: number
  senderMac?: MacAddress
  targetMac?: MacAddress
  /** Of the frame. Default: the sender's, and broadcast. */
  from?: MacAddress
  to?: MacAddress
}

export function arpMessage(senderIp: IpAddress, targetIp: IpAddress, options: ArpOptions = {}): Uint8Array {
  const senderMac = options.senderMac ?? STRANGER
  const operation = options.operation ?? ARP_REQUEST
  const payload = built((view) => {
    emitArp(view, 0, { operation, senderMac, senderIp, targetMac: options.targetMac ?? ZERO_MAC, targetIp })
    return ARP_LENGTH
  })
  return frame(ETHERTYPE_ARP, payload, options.from ?? senderMac, options.to ?? BROADCAST_MAC)
}

/** An answer to one host. */
export const arpAnswer = (senderIp: IpAddress, targetIp: IpAddress, to: MacAddress, senderMac = STRANGER): Uint8Array =>
  arpMessage(senderIp, targetIp, { operation: ARP_REPLY, senderMac, targetMac: to, to })

export interface Ip6Way {
  source: IpAddress
  destination: IpAddress
  hopLimit?: number
  from?: MacAddress
  /** Default: the group's, or broadcast. */
  to?: MacAddress
}

const macTo = (way: { destination: IpAddress; to?: MacAddress }): MacAddress =>
  way.to ?? (way.destination.isMulticast ? multicastMac(way.destination) : BROADCAST_MAC)

/** An ICMPv6 message; the hop limit is 255 unless said otherwise. */
export const icmp6Frame = (message: Uint8Array, way: Ip6Way): Uint8Array =>
  frame(ETHERTYPE_IPV6, icmp6(message, { hopLimit: 255, ...way }), way.from ?? STRANGER, macTo(way))

export const ip6Frame = (next: number, payload: Uint8Array, way: Ip6Way): Uint8Array =>
  frame(ETHERTYPE_IPV6, ip6(next, payload, way), way.from ?? STRANGER, macTo(way))

export interface Ip4Way {
  source: IpAddress
  destination: IpAddress
  from?: MacAddress
  to?: MacAddress
}

export const ip4Frame = (protocol: number, payload: Uint8Array, way: Ip4Way): Uint8Array =>
  frame(ETHERTYPE_IPV4, ip4(protocol, payload, way), way.from ?? STRANGER, macTo(way))

export function udpFrame(payload: Uint8Array, way: Ip4Way & { port: number }): Uint8Array {
  const datagram = udp(payload, way.source, way.destination, way.port)
  return way.source.family === 4 ? ip4Frame(PROTOCOL_UDP, datagram, way) : ip6Frame(PROTOCOL_UDP, datagram, way)
}

/** A solicitation from `source` to the solicited-node group of the target, with the sender's MAC address unless null. */
export function solicitation(
  source: IpAddress,
  target: IpAddress,
  options: Partial<Ip6Way> & { mac?: MacAddress | null } = {},
): Uint8Array {
  const sender = options.mac === undefined ? (source.isUnspecified ? null : STRANGER) : options.mac
  const message = built((view) => emitNeighborSolicitation(view, 0, target, sender))
  return icmp6Frame(message, { source, destination: solicitedNode(target), ...options })
}

export interface AdvertisementOptions extends Partial<Ip6Way> {
  mac?: MacAddress | null
  solicited?: boolean
  override?: boolean
  router?: boolean
}

export function advertisement(target: IpAddress, options: AdvertisementOptions = {}): Uint8Array {
  const fields = {
    target,
    mac: options.mac === undefined ? STRANGER : options.mac,
    router: options.router ?? false,
    solicited: options.solicited ?? false,
    override: options.override ?? false,
  }
  const message = built((view) => emitNeighborAdvertisement(view, 0, fields))
  return icmp6Frame(message, { source: target, destination: ALL_NODES6, ...options })
}

export interface RouterOptions extends Partial<Omit<RouterAdvertisementFields, 'prefixes'>> {
  prefixes?: readonly PrefixInformation[]
  destination?: IpAddress
  /** Of the IPv6 header. */
  ipHopLimit?: number
  from?: MacAddress
}

export function routerAdvertisement(router: IpAddress, options: RouterOptions = {}): Uint8Array {
  const fields: RouterAdvertisementFields = {
    hopLimit: 0,
    managed: false,
    otherConfiguration: false,
    preference: 0,
    lifetime: 1_800,
    reachableTime: 0,
    retransmitTime: 0,
    sourceMac: options.from ?? STRANGER,
    mtu: 0,
    prefixes: [],
    ...options,
  }
  const message = built((view) => emitRouterAdvertisement(view, 0, fields))
  const way = { source: router, destination: options.destination ?? ALL_NODES6, hopLimit: options.ipHopLimit ?? 255 }
  return icmp6Frame(message, { ...way, from: options.from ?? STRANGER })
}

/** A prefix that is on the link and for autoconfiguration, for an hour and for two, unless said otherwise. */
export function prefixInformation(text: string, options: Partial<PrefixInformation> = {}): PrefixInformation {
  const { address, length } = IpPrefix.from(text)
  const defaults = { onLink: true, autonomous: true, validLifetime: 7_200, preferredLifetime: 3_600 }
  return { prefix: address, length, ...defaults, ...options }
}

/** An IGMP message of 8 bytes: version 1 and 2. */
export function igmpFrame(type: number, group: IpAddress, way: Ip4Way, maxResponseTenths = 0): Uint8Array {
  const message = built((_view, octets) => emitIgmp(octets, 0, type, group, maxResponseTenths))
  return ip4Frame(PROTOCOL_IGMP, message, way)
}

/** A version 3 query; the group is 0.0.0.0 for a general one. */
export function igmpV3Query(group: IpAddress, source: IpAddress, maxResponseTenths: number): Uint8Array {
  const bytes = new Uint8Array(12)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, 0x11)
  view.setUint8(1, maxResponseTenths)
  group.writeTo(view, 4)
  view.setUint8(8, 2)
  view.setUint8(9, 125)
  const destination = group.isUnspecified ? ALL_HOSTS4 : group
  return ip4Frame(PROTOCOL_IGMP, checksummed(bytes, 2), { source, destination })
}

/** A version 1 message: query, report, done. */
export const mldFrame = (type: number, group: IpAddress, way: Ip6Way, maxResponseMillis = 0): Uint8Array =>
  icmp6Frame(
    built((view) => emitMld(view, 0, type, group, maxResponseMillis)),
    { hopLimit: 1, ...way },
  )

/** A version 2 query; the group is :: for a general one. */
export function mldV2Query(group: IpAddress, way: Ip6Way, maxResponseMillis: number): Uint8Array {
  const bytes = new Uint8Array(28)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, 130)
  view.setUint16(4, maxResponseMillis)
  group.writeTo(view, 8)
  view.setUint8(24, 2)
  view.setUint8(25, 125)
  return icmp6Frame(bytes, { hopLimit: 1, ...way })
}
