// Where IP and what stands on it meet. Transports know these types and nothing else of src/ip.

import type { Packet } from '../buf/packet.ts'
import type { Drop } from '../counters.ts'
import type { NetErrorCode } from '../errors.ts'
import type { Micros } from '../time.ts'
import type { IpAddress } from '../wire/address.ts'

/** What an ICMP error of either family says, in one vocabulary. */
export type IcmpErrorKind =
  | 'net-unreachable'
  | 'host-unreachable'
  | 'protocol-unreachable'
  | 'port-unreachable'
  | 'admin-prohibited'
  | 'source-route-failed'
  | 'packet-too-big'
  | 'hop-limit-exceeded'
  | 'reassembly-timeout'
  | 'parameter-problem'

/** An ICMP error about a packet that this host sent. */
export interface IcmpError {
  readonly kind: IcmpErrorKind
  /** Type and code as they were on the wire. */
  readonly type: number
  readonly code: number
  /** packet-too-big: the MTU of the next hop; else 0. */
  readonly mtu: number
  /** Who reported it; this host's own address where it found out by itself. */
  readonly reporter: IpAddress
  /** The addresses of the packet it is about: source is ours. */
  readonly source: IpAddress
  readonly destination: IpAddress
}

/** ip -> tcp, udp. */
export interface Transport {
  /** Consumes the packet, whose data begins at the transport header; a Drop says that it was not delivered, and why. */
  receive(packet: Packet, source: IpAddress, destination: IpAddress, now: Micros): Drop | undefined
  /**
   * Tells of an error about a packet of this transport; `packet` begins at the quoted transport header (at least 8
   * bytes) and stays the caller's. True where the transport recognizes the packet as its own: only then is
   * what the error says about the path believed (RFC 5927, RFC 8201 §4).
   */
  error(packet: Packet, error: IcmpError, now: Micros): boolean
}

/** How a packet is to be sent: constant per socket, so no packet costs a record. */
export interface SendOptions {
  readonly protocol: number
  /** 0: what routers advertise for the link, else the host's own default. */
  readonly hopLimit: number
  /** DSCP and ECN. */
  readonly trafficClass: number
  /** Fragmenting is forbidden, here and on the way: what is too big is refused. */
  readonly dontFragment: boolean
  /** IPv4 only: put the router alert option into the header, and IPv6: a hop-by-hop router alert (IGMP, MLD). */
  readonly routerAlert: boolean
  /** What goes to a group that this host is in comes back to it as well (IP_MULTICAST_LOOP). */
  readonly multicastLoop: boolean
}

/** Why a destination cannot be reached from here. */
export type NoWay = 'no-route' | 'no-source' | 'prohibited' | 'no-interface'

/** What a program is told where there is no way. */
export function codeOfNoWay(way: NoWay): NetErrorCode {
  switch (way) {
    case 'no-source':
      return 'EADDRNOTAVAIL'
    case 'prohibited':
      return 'EACCES'
    default:
      return 'ENETUNREACH'
  }
}

/** The same in words, for the end of a message. */
export function reasonOfNoWay(way: NoWay): string {
  switch (way) {
    case 'no-source':
      return 'no address of this host can be its source'
    case 'prohibited':
      return 'a route prohibits it, or it is a broadcast address'
    case 'no-interface':
      return 'its interface is not there'
    case 'no-route':
      return 'no route leads there'
  }
}

/** A resolved way to one destination; sockets keep it while isFresh() says so. */
export interface Way {
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly nextHop: IpAddress
  readonly interfaceIndex: number
  /** Of the first link; IpOutput.mtu() knows the path's. */
  readonly linkMtu: number
  /** Sum of the generations of routes and addresses under which it was resolved. */
  readonly generation: number
}

/** What a socket knows about where its packets are to leave. */
export interface WayOptions {
  /** Null: chosen by RFC 6724. */
  readonly source: IpAddress | null
  /** 0: chosen by the routes. */
  readonly interfaceIndex: number
}

/** tcp, udp -> ip. */
export interface IpOutput {
  /** The way to a destination, or why there is none. */
  resolve(destination: IpAddress, options: WayOptions): Way | NoWay
  isFresh(way: Way): boolean
  /** The path MTU in bytes, as far as it is known. */
  mtu(way: Way): number
  /** Sends a packet whose data begins at the transport header; consumes it, whatever the result. */
  send(packet: Packet, way: Way, options: SendOptions, now: Micros): SendResult
}

export type SendResult = 'sent' | 'too-big' | 'no-buffer' | 'no-route' | 'dropped'

/** Which groups are joined where. */
export interface GroupMembership {
  isMember(on: { readonly index: number }, group: IpAddress): boolean
}
