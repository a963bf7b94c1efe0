// Neighbour discovery (RFC 4861): solicitations and advertisements of neighbours, on the Ethernet links of one
// host. ICMPv6 hands it messages; IPv6 neighbour caches ask it questions. Router advertisements go on to
// autoconf.ts; redirects are not followed.

import { Packet } from '../buf/packet.ts'
import type { Drop } from '../counters.ts'
import { sumFrom } from '../link/segmentation.ts'
import type { Micros } from '../time.ts'
import { ALL_NODES6, ALL_ROUTERS6, ANY6, type IpAddress, solicitedNode } from '../wire/address.ts'
import { complement } from '../wire/checksum.ts'
import type { MacAddress } from '../wire/ethernet.ts'
import {
  ICMP6_NEIGHBOR_ADVERTISEMENT,
  ICMP6_NEIGHBOR_SOLICITATION,
  ICMP6_ROUTER_ADVERTISEMENT,
  ICMP6_ROUTER_SOLICITATION,
} from '../wire/icmp6.ts'
import { PROTOCOL_ICMP6, pseudoHeaderSum } from '../wire/ipv4.ts'
import { emitIpv6, IPV6_HEADER, ipv6HopLimit, ipv6NextHeader } from '../wire/ipv6.ts'
import { ExtensionWalk, NEXT_FRAGMENT, walkExtensions } from '../wire/ipv6-extensions.ts'
import {
  advertisementOverride,
  advertisementRouter,
  advertisementSolicited,
  checkNeighborAdvertisement,
  checkNeighborSolicitation,
  checkRouterAdvertisement,
  emitNeighborAdvertisement,
  emitNeighborSolicitation,
  emitRouterSolicitation,
  NDP_HOP_LIMIT,
  NEIGHBOR_HEADER,
  ndpMac,
  ndpTarget,
  OPTION_SOURCE_MAC,
  OPTION_TARGET_MAC,
  ROUTER_ADVERTISEMENT_HEADER,
} from '../wire/ndp.ts'
import type { ConflictListener } from './arp.ts'
import type { IpContext } from './context.ts'
import type { Icmp6Listener } from './icmp6.ts'
import type { Interface } from './interface.ts'

const MESSAGE_CAPACITY = 64
const NEXT_HEADER_AT = 6

/** Hears router advertisements that passed RFC 4861 §6.1.2; the message is linear at `at`, up to `end`. */
export interface RouterListener {
  onRouterAdvertisement(on: Interface, view: DataView, at: number, end: number, router: IpAddress, now: Micros): void
  /** A neighbour that was a router says that it is none any more (RFC 4861 §7.2.5). */
  onRouterLost(on: Interface, router: IpAddress): void
}

export class Ndp implements Icmp6Listener {
  /** Set by stack.ts. */
  conflicts: ConflictListener | null = null
  routers: RouterListener | null = null
  private readonly context: IpContext
  private readonly walk = new ExtensionWalk()

  constructor(context: IpContext) {
    this.context = context
  }

  receiveIcmp6(type: number, packet: Packet, source: IpAddress, destination: IpAddress, now: Micros): Drop | undefined {
    const on = this.context.interfaces.byIndex(packet.interfaceIndex)
    if (on === undefined || !on.isEthernet) return 'ndpMalformed'
    // RFC 4861 §11.2: what has crossed a router cannot be from this link.
    if (ipv6HopLimit(packet.page.view, packet.networkAt) !== NDP_HOP_LIMIT) return 'ndpMalformed'
    if (this.wasFragmented(packet)) return 'ndpMalformed'
    switch (type) {
      case ICMP6_NEIGHBOR_SOLICITATION:
        return this.receiveSolicitation(on, packet, source, destination, now)
      case ICMP6_NEIGHBOR_ADVERTISEMENT:
        return this.receiveAdvertisement(on, packet, destination, now)
      case ICMP6_ROUTER_ADVERTISEMENT:
        return this.receiveRouterAdvertisement(on, packet, source, now)
      case ICMP6_ROUTER_SOLICITATION:
        this.context.counters.Icmp6InRouterSolicits++
        return undefined
      default:
        return 'redirectIgnored'
    }
  }

  /** Asks for a neighbour: its solicited-node group, or itself when probing (RFC 4861 §7.2.2). */
  solicit(on: Interface, target: IpAddress, mac: MacAddress | null, now: Micros): void {
    const source = sourceFor(on, target)
    if (source === null) return
    this.sendSolicitation(on, source, target, mac, '', now)
  }

  /** Asks whether somebody uses the address, from nowhere (RFC 4862 §5.4.2). */
  probe(on: Interface, address: IpAddress, now: Micros): void {
    this.sendSolicitation(on, ANY6, address, null, `duplicate address detection: does anybody use ${address}?`, now)
  }

  /** Tells the link that the address is ours (RFC 4861 §7.2.6). */
  announce(on: Interface, address: IpAddress, now: Micros): void {
    this.sendAdvertisement(on, address, ALL_NODES6, null, false, now)
  }

  /** Asks for routers (RFC 4861 §6.3.7). */
  solicitRouters(on: Interface, source: IpAddress, now: Micros): void {
    const packet = Packet.allocate(this.context.pool, MESSAGE_CAPACITY)
    if (packet === null) return
    const at = packet.data
    packet.put(emitRouterSolicitation(packet.page.view, at, source.isUnspecified ? null : on.mac))
    this.context.counters.Icmp6OutRouterSolicits++
    this.send(on, packet, source, ALL_ROUTERS6, null, now)
  }

  private receiveSolicitation(
    on: Interface,
    packet: Packet,
    source: IpAddress,
    destination: IpAddress,
    now: Micros,
  ): Drop | undefined {
    const { view } = packet.page
    const at = packet.data
    this.context.counters.Icmp6InNeighborSolicits++
    const malformed = checkNeighborSolicitation(view, at, packet.headLength, source, destination)
    if (malformed !== undefined) return malformed
    const target = ndpTarget(view, at)
    const own = on.find(target)
    if (own === undefined || own.state === 'duplicate') return 'ndpNotForUs'
    if (own.state === 'tentative') {
      // RFC 4862 §5.4.3: another one probes for the same address; anybody else must wait.
      if (source.isUnspecified) this.conflicts?.onConflict(on, own, on.senderOf(packet), now)
      return undefined
    }
    const mac = ndpMac(view, at + NEIGHBOR_HEADER, packet.tail, OPTION_SOURCE_MAC)
    if (mac !== null && !isStation(mac)) return 'ndpMalformed'
    if (source.isUnspecified) {
      this.sendAdvertisement(on, target, ALL_NODES6, null, false, now)
      return undefined
    }
    if (mac !== null) on.neighbors6!.learn(source, mac)
    this.sendAdvertisement(on, target, source, mac, true, now)
    return undefined
  }

  private receiveAdvertisement(on: Interface, packet: Packet, destination: IpAddress, now: Micros): Drop | undefined {
    const { view } = packet.page
    const at = packet.data
    this.context.counters.Icmp6InNeighborAdvertisements++
    const malformed = checkNeighborAdvertisement(view, at, packet.headLength, destination)
    if (malformed !== undefined) return malformed
    const target = ndpTarget(view, at)
    const mac = ndpMac(view, at + NEIGHBOR_HEADER, packet.tail, OPTION_TARGET_MAC)
    if (mac !== null && !isStation(mac)) return 'ndpMalformed'
    const own = on.find(target)
    if (own !== undefined) {
      if (own.state !== 'duplicate') this.conflicts?.onConflict(on, own, mac ?? on.senderOf(packet), now)
      return undefined
    }
    const wasRouter = on.neighbors6!.get(target)?.isRouter === true
    const message = {
      mac,
      solicited: advertisementSolicited(view, at),
      override: advertisementOverride(view, at),
      isRouter: advertisementRouter(view, at),
    }
    on.neighbors6!.advertise(target, message, now)
    if (wasRouter && on.neighbors6!.get(target)?.isRouter === false) this.routers?.onRouterLost(on, target)
    return undefined
  }

  private receiveRouterAdvertisement(on: Interface, packet: Packet, source: IpAddress, now: Micros): Drop | undefined {
    const { view } = packet.page
    const at = packet.data
    this.context.counters.Icmp6InRouterAdvertisements++
    const malformed = checkRouterAdvertisement(view, at, packet.headLength, source)
    if (malformed !== undefined) return malformed
    const mac = ndpMac(view, at + ROUTER_ADVERTISEMENT_HEADER, packet.tail, OPTION_SOURCE_MAC)
    if (mac !== null) {
      if (!isStation(mac)) return 'ndpMalformed'
      const neighbor = on.neighbors6!.learn(source, mac)
      if (neighbor !== null) neighbor.isRouter = true
    }
    this.routers?.onRouterAdvertisement(on, view, at, packet.tail, source, now)
    return undefined
  }

  /** RFC 6980 §5: discovery messages are never fragments, so that switches can filter them. */
  private wasFragmented(packet: Packet): boolean {
    const { view } = packet.page
    const at = packet.networkAt
    const next = ipv6NextHeader(view, at)
    if (next === PROTOCOL_ICMP6) return false
    walkExtensions(view, at, next, at + NEXT_HEADER_AT, at + IPV6_HEADER, packet.tail, this.walk)
    return this.walk.nextHeader === NEXT_FRAGMENT
  }

  private sendSolicitation(
    on: Interface,
    source: IpAddress,
    target: IpAddress,
    mac: MacAddress | null,
    note: string,
    now: Micros,
  ): void {
    const packet = Packet.allocate(this.context.pool, MESSAGE_CAPACITY)
    if (packet === null) return
    const at = packet.data
    packet.put(emitNeighborSolicitation(packet.page.view, at, target, source.isUnspecified ? null : on.mac))
    packet.note = note
    this.context.counters.Icmp6OutNeighborSolicits++
    this.send(on, packet, source, mac === null ? solicitedNode(target) : target, mac, now)
  }

  private sendAdvertisement(
    on: Interface,
    target: IpAddress,
    destination: IpAddress,
    mac: MacAddress | null,
    solicited: boolean,
    now: Micros,
  ): void {
    const packet = Packet.allocate(this.context.pool, MESSAGE_CAPACITY)
    if (packet === null) return
    const router = this.context.forwarding
    const fields = { target, mac: on.mac, router, solicited, override: true }
    packet.put(emitNeighborAdvertisement(packet.page.view, packet.data, fields))
    this.context.counters.Icmp6OutNeighborAdvertisements++
    this.send(on, packet, target, destination, mac, now)
  }

  /** Pushes the IPv6 header and sends to `mac`, or by way of the neighbour cache or the group. */
  private send(
    on: Interface,
    packet: Packet,
    source: IpAddress,
    destination: IpAddress,
    mac: MacAddress | null,
    now: Micros,
  ): void {
    const { counters } = this.context
    const payloadLength = packet.length
    const icmpAt = packet.data
    const { view } = packet.page
    const pseudo = pseudoHeaderSum(source, destination, PROTOCOL_ICMP6, payloadLength)
    view.setUint16(icmpAt + 2, complement(sumFrom(packet, icmpAt) + pseudo))
    const at = packet.push(IPV6_HEADER)
    emitIpv6(view, at, {
      trafficClass: 0,
      flowLabel: 0,
      payloadLength,
      nextHeader: PROTOCOL_ICMP6,
      hopLimit: NDP_HOP_LIMIT,
      source,
      destination,
    })
    packet.networkAt = at
    packet.transportAt = icmpAt
    counters.Icmp6OutMsgs++
    counters.Ip6OutRequests++
    if (mac !== null) on.transmitTo(packet, mac)
    else on.send(packet, destination, now)
  }
}

/** Whether one neighbour alone has this MAC address: no host may have us send its packets to all. */
const isStation = (mac: MacAddress): boolean => !mac.isMulticast && !mac.isZero

/** RFC 4861 §7.2.2: preferably the address of the packet that waits; one of the target's network is as good. */
function sourceFor(on: Interface, target: IpAddress): IpAddress | null {
  let linkLocal: IpAddress | null = null
  let fallback: IpAddress | null = null
  for (const entry of on.addresses) {
    if (!entry.usable || entry.address.family === 4) continue
    if (entry.prefix.contains(target)) return entry.address
    if (entry.address.isLinkLocal) linkLocal ??= entry.address
    fallback ??= entry.address
  }
  return linkLocal ?? fallback
}
