// One attachment to a link: a device, its MAC address, its IP addresses, its neighbours and its groups. The
// stack hands it frames (receive), IP hands it packets with a next hop (send).

import { assert } from '../assert.ts'
import type { Packet } from '../buf/packet.ts'
import type { Counters, Drop } from '../counters.ts'
import type { Device } from '../link/device.ts'
import { checkOffload, prepare } from '../link/segmentation.ts'
import { type Micros, NEVER } from '../time.ts'
import type { IpAddress, IpPrefix } from '../wire/address.ts'
import {
  BROADCAST_MAC,
  ETHERNET_HEADER,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_VLAN,
  emitEthernet,
  emitVlan,
  etherType,
  MacAddress,
  multicastMac,
  VLAN_TAG,
  vlanInnerType,
  vlanTag,
} from '../wire/ethernet.ts'
import type { NeighborCache } from './neighbors.ts'

/** Where a frame names its sender. */
const SOURCE_AT = 6

/** RFC 4862 §2: tentative until it is known to be unique; duplicate when it is not. */
export type AddressState = 'tentative' | 'preferred' | 'deprecated' | 'duplicate'
export type AddressOrigin = 'static' | 'link-local' | 'autoconf' | 'loopback'

export class InterfaceAddress {
  readonly prefix: IpPrefix
  readonly origin: AddressOrigin
  readonly broadcast: IpAddress | null
  state: AddressState = 'preferred'
  preferredUntil: Micros = NEVER
  validUntil: Micros = NEVER

  constructor(prefix: IpPrefix, origin: AddressOrigin) {
    this.prefix = prefix
    this.origin = origin
    this.broadcast = prefix.broadcast
  }

  get address(): IpAddress {
    return this.prefix.address
  }

  /** Whether packets may be sent from and taken for it. */
  get usable(): boolean {
    return this.state === 'preferred' || this.state === 'deprecated'
  }
}

/** What takes the payload of a frame; consumes the packet, whose data begins at the network header. */
export interface NetworkLayer {
  receive(from: Interface, packet: Packet, now: Micros): void
}

/** Passes on packets that are for others. */
export interface Forwarder {
  /** Consumes a packet whose data begins at its IP header; `arrival` is where it came in. */
  forward(arrival: Interface, packet: Packet, source: IpAddress, destination: IpAddress, now: Micros): void
}

export interface InterfaceOptions {
  name: string
  device: Device
  /** Default: the device's own, else a random local one. Only for devices of medium ethernet. */
  mac?: MacAddress
  /** Default: the device's. May be smaller, never larger. */
  mtu?: number
  /** The VLAN identifier whose tagged frames this interface sends and takes; 0: untagged. */
  vlan?: number
}

export class Interface {
  readonly name: string
  readonly index: number
  readonly device: Device
  readonly mac: MacAddress
  readonly vlan: number
  readonly isLoopback: boolean
  readonly addresses: InterfaceAddress[] = []
  /** What it was made with: no router can raise the MTU above it. */
  readonly greatestMtu: number
  /** Smaller where a router said so (RFC 4861 §6.3.4). */
  mtu: number
  /** What routers advertise for this link (RFC 4861 §6.3.2); 0: nobody did. */
  hopLimit = 0
  /** Set by Interfaces.setUp. */
  up = true
  neighbors4: NeighborCache | null = null
  neighbors6: NeighborCache | null = null
  arp: NetworkLayer | null = null
  ipv4: NetworkLayer | null = null
  ipv6: NetworkLayer | null = null
  receivedPackets = 0
  receivedBytes = 0
  sentPackets = 0
  sentBytes = 0
  private readonly counters: Counters
  private frameDestination: MacAddress = BROADCAST_MAC
  private readonly emitFrame = (packet: Packet): void => this.pushAndTransmit(packet)

  constructor(index: number, options: InterfaceOptions, mac: MacAddress, counters: Counters) {
    this.index = index
    this.name = options.name
    this.device = options.device
    this.mac = mac
    this.greatestMtu = Math.min(options.mtu ?? options.device.mtu, options.device.mtu)
    this.mtu = this.greatestMtu
    this.vlan = options.vlan ?? 0
    this.isLoopback = options.device.name === 'lo'
    this.counters = counters
  }

  get isEthernet(): boolean {
    return this.device.medium === 'ethernet'
  }

  find(address: IpAddress): InterfaceAddress | undefined {
    return this.addresses.find((candidate) => candidate.address.equals(address))
  }

  /** Takes a frame or a bare IP packet from the device. */
  receive(packet: Packet, now: Micros): void {
    this.receivedPackets++
    this.receivedBytes += packet.length
    if (packet.interfaceIndex === 0 || !this.isLoopback) packet.interfaceIndex = this.index
    if (!this.up) return this.discard(packet, 'deviceDown')
    if (this.device.medium === 'ip') return this.receiveBare(packet, now)
    const drop = this.receiveFrame(packet, now)
    if (drop !== undefined) this.discard(packet, drop)
  }

  /** Sends an IP packet to a next hop on this link; consumes it. Multicast and broadcast need no neighbour. */
  send(packet: Packet, nextHop: IpAddress, now: Micros): void {
    if (!this.up) return this.discard(packet, 'deviceDown')
    if (!this.isEthernet) {
      this.prepareAndEmit(packet)
      return
    }
    const mac = this.resolve(packet, nextHop, now)
    if (mac !== null) this.transmitTo(packet, mac)
  }

  /** Sends an IP packet to a known MAC address; consumes it. */
  transmitTo(packet: Packet, mac: MacAddress): void {
    this.frameDestination = mac
    this.prepareAndEmit(packet)
  }

  /** Sends an ARP packet, whose data begins at the ARP header; consumes it. */
  transmitArp(packet: Packet, mac: MacAddress): void {
    this.frameDestination = mac
    this.pushHeader(packet, ETHERTYPE_ARP)
    this.transmit(packet)
  }

  private resolve(packet: Packet, nextHop: IpAddress, now: Micros): MacAddress | null {
    if (nextHop.isMulticast) return multicastMac(nextHop)
    if (this.isBroadcast(nextHop)) return BROADCAST_MAC
    const cache = nextHop.family === 4 ? this.neighbors4 : this.neighbors6
    assert(cache !== null, 'an Ethernet interface has both caches')
    return cache.resolve(nextHop, packet, now)
  }

  /** Whether the address is the limited broadcast or that of one of this link's IPv4 networks. */
  isBroadcast(address: IpAddress): boolean {
    if (address.family === 6) return false
    if (address.isLimitedBroadcast) return true
    for (const own of this.addresses) if (own.broadcast?.equals(address)) return true
    return false
  }

  /** Who sent the frame that this IP packet came in. */
  senderOf(packet: Packet): MacAddress {
    const headerLength = this.vlan === 0 ? ETHERNET_HEADER : ETHERNET_HEADER + VLAN_TAG
    return MacAddress.read(packet.page.view, packet.networkAt - headerLength + SOURCE_AT)
  }

  /** Cuts and completes what the device does not, then transmits. */
  private prepareAndEmit(packet: Packet): void {
    if (!prepare(packet, this.device.offloads, this.emitFrame)) this.counters.drops.noBuffer++
  }

  private pushAndTransmit(packet: Packet): void {
    const version = packet.page.view.getUint8(packet.data) >>> 4
    if (version === 4) this.counters.IpExtOutOctets += packet.length
    else this.counters.Ip6OutOctets += packet.length
    if (this.isEthernet) {
      if (!packet.unshare()) return this.discard(packet, 'noBuffer')
      this.pushHeader(packet, version === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6)
    }
    this.transmit(packet)
  }

  private pushHeader(packet: Packet, type: number): void {
    if (this.vlan === 0) {
      const at = packet.push(ETHERNET_HEADER)
      emitEthernet(packet.page.view, at, this.frameDestination, this.mac, type)
    } else {
      const at = packet.push(ETHERNET_HEADER + VLAN_TAG)
      emitVlan(packet.page.view, at, this.frameDestination, this.mac, this.vlan, type)
    }
  }

  private transmit(packet: Packet): void {
    this.sentPackets++
    this.sentBytes += packet.length
    this.device.transmit(packet)
  }

  private receiveFrame(packet: Packet, now: Micros): Drop | undefined {
    if (!packet.linearize(Math.min(packet.length, ETHERNET_HEADER + VLAN_TAG))) return 'noBuffer'
    if (packet.headLength < ETHERNET_HEADER) return 'frameTooShort'
    const { view } = packet.page
    const at = packet.data
    const drop = this.classify(packet, view, at)
    if (drop !== undefined) return drop
    let type = etherType(view, at)
    let headerLength = ETHERNET_HEADER
    let vlan = 0
    if (type === ETHERTYPE_VLAN) {
      if (packet.headLength < ETHERNET_HEADER + VLAN_TAG) return 'frameTooShort'
      vlan = vlanTag(view, at) & 0xfff
      type = vlanInnerType(view, at)
      headerLength += VLAN_TAG
    }
    if (vlan !== this.vlan) return 'vlanMismatch'
    packet.pull(headerLength)
    packet.networkAt = packet.data
    const offloadDrop = type === ETHERTYPE_ARP ? undefined : checkClaims(packet)
    if (offloadDrop !== undefined) return offloadDrop
    const layer = this.layerOf(type)
    if (layer === null) return 'unknownEtherType'
    layer.receive(this, packet, now)
    return undefined
  }

  /** Sets linkCast and refuses what is not addressed to us. */
  private classify(packet: Packet, view: DataView, at: number): Drop | undefined {
    const high = view.getUint16(at)
    const low = view.getInt32(at + 2)
    if (low === this.mac.low && high === this.mac.high) packet.linkCast = 'host'
    else if ((high & 0x0100) === 0) return 'notForUs'
    else packet.linkCast = high === 0xffff && low === -1 ? 'broadcast' : 'multicast'
    // Our own broadcast, come back over a loop in the network.
    if (view.getInt32(at + 8) === this.mac.low && view.getUint16(at + 6) === this.mac.high) return 'spoofedSource'
    return undefined
  }

  private layerOf(type: number): NetworkLayer | null {
    if (type === ETHERTYPE_IPV4) return this.ipv4
    if (type === ETHERTYPE_IPV6) return this.ipv6
    return type === ETHERTYPE_ARP ? this.arp : null
  }

  private receiveBare(packet: Packet, now: Micros): void {
    if (packet.headLength < 1 && !packet.linearize(1)) return this.discard(packet, 'frameTooShort')
    packet.networkAt = packet.data
    const drop = checkClaims(packet)
    if (drop !== undefined) return this.discard(packet, drop)
    const version = packet.page.view.getUint8(packet.data) >>> 4
    const layer = version === 4 ? this.ipv4 : version === 6 ? this.ipv6 : null
    if (layer === null) return this.discard(packet, 'ipVersion')
    layer.receive(this, packet, now)
  }

  private discard(packet: Packet, reason: Drop): void {
    this.counters.drops[reason]++
    packet.note = reason
    packet.release()
  }
}

/** The MAC address of an interface: the one asked for, the device's, or a random one. */
export const chooseMac = (options: InterfaceOptions, fallback: () => MacAddress): MacAddress =>
  options.mac ?? options.device.macAddress ?? fallback()

/** What a device says of offloads is looked at once, here; nearly all packets claim nothing. */
const checkClaims = (packet: Packet): Drop | undefined =>
  packet.segmentBytes > 0 || packet.checksum === 'partial' ? checkOffload(packet) : undefined
