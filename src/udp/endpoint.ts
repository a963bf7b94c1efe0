// One bound UDP port of this host: where datagrams for it wait, and how its own are sent. Made by Udp.bind();
// sockets hold it.

import type { Packet } from '../buf/packet.ts'
import { PacketQueue } from '../buf/packet-queue.ts'
import type { NetErrorCode } from '../errors.ts'
import type { IcmpError, Way } from '../ip/seams.ts'
import type { Family, IpAddress } from '../wire/address.ts'

/** Page bytes of datagrams that wait to be read; Linux's rmem_default is 212,992. */
export const DEFAULT_RECEIVE_BYTES = 256 * 1_024

export interface UdpOptions {
  /** 6 takes IPv4 as well, unless v6Only. */
  family: Family
  /** Default: any. */
  address?: IpAddress
  /** Default or 0: an ephemeral one. */
  port?: number
  v6Only?: boolean
  /** Lets other sockets with this option bind the same port, for multicast. */
  reuseAddress?: boolean
  /** Only packets of this interface; 0: of any. */
  interfaceIndex?: number
  receiveBytes?: number
}

/** Of this group on this interface, only what this source sends is wanted (RFC 3678 §4.1.2). */
export interface SourceFilter {
  readonly group: IpAddress
  readonly interfaceIndex: number
  readonly source: IpAddress
}

export class UdpEndpoint {
  readonly family: Family
  readonly v6Only: boolean
  readonly reuseAddress: boolean
  /** What it was bound to; while connected, the address that the peer knows. */
  localAddress: IpAddress
  readonly localPort: number
  readonly boundAddress: IpAddress
  readonly interfaceIndex: number
  readonly queue: PacketQueue
  remoteAddress: IpAddress | null = null
  remotePort = 0
  /** By which link the peer is reached, where its address alone does not say; 0: it does. */
  remoteInterfaceIndex = 0
  /** Sending to a broadcast address is allowed (SO_BROADCAST). */
  broadcast = false
  /** 0: the link's or the host's default. */
  hopLimit = 0
  multicastHopLimit = 1
  /** Datagrams to groups come back to this host's members (IP_MULTICAST_LOOP). */
  multicastLoop = true
  /** Groups that were joined for some sources alone. */
  readonly sourceFilters: SourceFilter[] = []
  trafficClass = 0
  /** Too large datagrams are refused, not fragmented (IP_MTU_DISCOVER). */
  dontFragment = false
  /** Where multicast leaves when the destination does not say; 0: by the routes. */
  multicastInterfaceIndex = 0
  /** An ICMP error waits for the next operation of a connected socket. */
  pendingError: NetErrorCode | null = null
  closed = false
  /** Something can be read, or an error waits. Called from Udp.poll, after the batch. */
  onReadable: (() => void) | null = null
  /** Every ICMP error about datagrams of this port, with their destination port; for traceroute. */
  onIcmpError: ((error: IcmpError, destinationPort: number) => void) | null = null
  /** In Udp's list of those to be told. */
  announced = false
  /** The way of the last datagram. */
  way: Way | null = null
  /** The interface that was asked for when it was resolved; 0: any. */
  wayInterfaceIndex = 0
  droppedDatagrams = 0

  constructor(options: UdpOptions, address: IpAddress, port: number) {
    this.family = options.family
    this.v6Only = options.v6Only ?? false
    this.reuseAddress = options.reuseAddress ?? false
    this.interfaceIndex = options.interfaceIndex ?? 0
    this.localAddress = address
    this.boundAddress = address
    this.localPort = port
    this.queue = new PacketQueue(options.receiveBytes ?? DEFAULT_RECEIVE_BYTES)
  }

  /** How well it fits a datagram: more for each thing it insists on; -1: not at all. */
  score(source: IpAddress, sourcePort: number, destination: IpAddress, interfaceIndex: number): number {
    if (destination.family !== this.family && (this.family === 4 || this.v6Only)) return -1
    let score = destination.family === this.family ? 1 : 0
    if (!this.localAddress.isUnspecified) {
      if (!this.localAddress.equals(destination)) return -1
      score += 2
    }
    if (this.interfaceIndex !== 0) {
      if (this.interfaceIndex !== interfaceIndex) return -1
      score += 2
    }
    if (this.remoteAddress !== null) {
      if (this.remotePort !== sourcePort || !this.remoteAddress.equals(source)) return -1
      score += 4
    }
    return score
  }

  /** Whether the source is wanted, of a group that was joined for some sources alone. */
  admits(source: IpAddress, group: IpAddress, interfaceIndex: number): boolean {
    let filtered = false
    for (const filter of this.sourceFilters) {
      if (filter.interfaceIndex !== interfaceIndex || !filter.group.equals(group)) continue
      if (filter.source.equals(source)) return true
      filtered = true
    }
    return !filtered
  }

  /** The first datagram, its data at the payload; the caller owns it. Null: none. */
  take(): Packet | null {
    return this.queue.shift()
  }

  /** The error that waits, once. */
  takeError(): NetErrorCode | null {
    const error = this.pendingError
    this.pendingError = null
    return error
  }
}
