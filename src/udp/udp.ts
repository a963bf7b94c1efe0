// UDP (RFC 768, RFC 1122 §4.1, RFC 8200 §8.1) over both families: ports, checksums, demultiplexing, and what
// ICMP says about datagrams sent. A transport to IP below, endpoints to sockets above.

import { Packet } from '../buf/packet.ts'
import { copyInto, type PagePool } from '../buf/page.ts'
import type { Counters, Drop } from '../counters.ts'
import { NetError, type NetErrorCode } from '../errors.ts'
import {
  codeOfNoWay,
  type IcmpError,
  type IcmpErrorKind,
  type IpOutput,
  type NoWay,
  type SendOptions,
  type Transport,
  type Way,
} from '../ip/seams.ts'
import { sumFrom } from '../link/segmentation.ts'
import type { Random } from '../random.ts'
import { IMMEDIATELY, type Machine, type Micros, NEVER } from '../time.ts'
import type { UserCalls } from '../user-calls.ts'
import { anyAddress, type IpAddress } from '../wire/address.ts'
import { fold } from '../wire/checksum.ts'
import { PROTOCOL_UDP, pseudoHeaderSum } from '../wire/ipv4.ts'
import {
  checkUdp,
  emitUdp,
  UDP_HEADER,
  udpChecksum,
  udpDestinationPort,
  udpLength,
  udpSourcePort,
} from '../wire/udp.ts'
import { UdpEndpoint, type UdpOptions } from './endpoint.ts'
import { chooseEphemeralPort } from './ports.ts'

/** The largest payload of one datagram over IPv4; over IPv6 it may be 20 bytes more. */
export const MAX_PAYLOAD4 = 65_507
export const MAX_PAYLOAD6 = 65_527
/** Endpoints of one host. */
export const ENDPOINT_LIMIT = 65_536
const CHECKSUM_AT = 6

/** What Udp asks of the host about addresses. */
export interface LocalAddresses {
  isLocal(address: IpAddress): boolean
  isBroadcast(address: IpAddress): boolean
}

export interface UdpParts {
  readonly pool: PagePool
  readonly counters: Counters
  readonly random: Random
  readonly calls: UserCalls
  readonly ipv4: IpOutput
  readonly ipv6: IpOutput
  readonly addresses: LocalAddresses
}

/** Where a datagram goes. */
export interface UdpTarget {
  readonly address: IpAddress
  readonly port: number
  /** 0: by the routes. */
  readonly interfaceIndex: number
  /** Which of our addresses to send from; null: as bound, else chosen. */
  readonly source: IpAddress | null
}

export class Udp implements Transport, Machine {
  private readonly parts: UdpParts
  private readonly byPort = new Map<number, UdpEndpoint[]>()
  private readonly announced: UdpEndpoint[] = []
  private count = 0
  /** Rewritten for each datagram. */
  private readonly options: { -readonly [Name in keyof SendOptions]: SendOptions[Name] } = {
    protocol: PROTOCOL_UDP,
    hopLimit: 0,
    trafficClass: 0,
    dontFragment: false,
    routerAlert: false,
    multicastLoop: true,
  }
  private readonly wayOptions: { source: IpAddress | null; interfaceIndex: number } = {
    source: null,
    interfaceIndex: 0,
  }

  constructor(parts: UdpParts) {
    this.parts = parts
  }

  /** Throws NetError: EADDRINUSE, EADDRNOTAVAIL, EINVAL, EMFILE. */
  bind(options: UdpOptions): UdpEndpoint {
    const address = options.address ?? anyAddress(options.family)
    const wanted = options.port ?? 0
    if (!Number.isInteger(wanted) || wanted < 0 || wanted > 65_535) throw new NetError('EINVAL', `port ${wanted}`)
    const { addresses, random } = this.parts
    if (address.family !== options.family) throw new NetError('EINVAL', `${address} is not of family ${options.family}`)
    const isOwn = address.isUnspecified || address.isMulticast || addresses.isLocal(address)
    if (!isOwn && !addresses.isBroadcast(address)) throw new NetError('EADDRNOTAVAIL', `bind ${address}`)
    if (this.count >= ENDPOINT_LIMIT) throw new NetError('EMFILE', `${ENDPOINT_LIMIT} UDP ports are open`)
    const port = wanted > 0 ? wanted : chooseEphemeralPort(random, (candidate) => !this.byPort.has(candidate))
    if (port === 0) throw new NetError('EADDRINUSE', 'no ephemeral port is free')
    const endpoint = new UdpEndpoint(options, address, port)
    const others = this.byPort.get(port) ?? []
    if (others.some((other) => clash(other, endpoint))) throw new NetError('EADDRINUSE', `bind ${address} port ${port}`)
    others.push(endpoint)
    this.byPort.set(port, others)
    this.count++
    return endpoint
  }

  /**
   * Fixes the peer. A wildcard endpoint takes the address that it speaks to the peer from, until disconnect(). The code of
   * the error, or null.
   */
  connect(endpoint: UdpEndpoint, address: IpAddress, port: number, interfaceIndex: number): NetErrorCode | null {
    const output = address.family === 4 ? this.parts.ipv4 : this.parts.ipv6
    endpoint.way = null
    const way = this.wayTo(endpoint, output, { address, port, interfaceIndex, source: null })
    if (typeof way === 'string') return codeOfNoWay(way)
    if (!endpoint.broadcast && this.parts.addresses.isBroadcast(address)) return 'EACCES'
    endpoint.remoteAddress = address
    endpoint.remotePort = port
    endpoint.remoteInterfaceIndex = interfaceIndex
    if (endpoint.localAddress.isUnspecified) endpoint.localAddress = way.source
    return null
  }

  disconnect(endpoint: UdpEndpoint): void {
    endpoint.remoteAddress = null
    endpoint.remotePort = 0
    endpoint.remoteInterfaceIndex = 0
    endpoint.localAddress = endpoint.boundAddress
    endpoint.way = null
  }

  close(endpoint: UdpEndpoint): void {
    if (endpoint.closed) return
    endpoint.closed = true
    endpoint.queue.clear()
    const others = this.byPort.get(endpoint.localPort)!
    others.splice(others.indexOf(endpoint), 1)
    if (others.length === 0) this.byPort.delete(endpoint.localPort)
    this.count--
  }

  /** The endpoints, in no particular order. */
  list(): UdpEndpoint[] {
    return [...this.byPort.values()].flat()
  }

  /** Copies the payload and sends it; the code of the error, or null. */
  send(
    endpoint: UdpEndpoint,
    bytes: Uint8Array,
    at: number,
    length: number,
    target: UdpTarget,
    now: Micros,
  ): NetErrorCode | null {
    const isV4 = target.address.family === 4
    if (length > (isV4 ? MAX_PAYLOAD4 : MAX_PAYLOAD6)) return 'EMSGSIZE'
    if (!(Number.isInteger(target.port) && target.port >= 1 && target.port <= 65_535)) return 'EINVAL'
    if (isV4 ? endpoint.family === 6 && endpoint.v6Only : endpoint.family === 4) return 'EAFNOSUPPORT'
    const output = isV4 ? this.parts.ipv4 : this.parts.ipv6
    const way = this.wayTo(endpoint, output, target)
    if (typeof way === 'string') return codeOfNoWay(way)
    const isMulticast = target.address.isMulticast
    if (isV4 && !isMulticast && !endpoint.broadcast && this.parts.addresses.isBroadcast(target.address)) return 'EACCES'
    const packet = Packet.allocate(this.parts.pool, length)
    if (packet === null) {
      this.countSend(isV4, false)
      return 'ENOBUFS'
    }
    copyInto(packet.page.bytes, packet.put(length), bytes, at, length)
    this.pushHeader(packet, endpoint.localPort, target.port, way)
    const { options } = this
    options.hopLimit = isMulticast ? endpoint.multicastHopLimit : endpoint.hopLimit
    options.trafficClass = endpoint.trafficClass
    options.dontFragment = endpoint.dontFragment
    options.multicastLoop = endpoint.multicastLoop
    this.countSend(isV4, true)
    const result = output.send(packet, way, options, now)
    if (result === 'too-big') return 'EMSGSIZE'
    if (result === 'no-route') return 'ENETUNREACH'
    return result === 'no-buffer' ? 'ENOBUFS' : null
  }

  receive(packet: Packet, source: IpAddress, destination: IpAddress, _now: Micros): Drop | undefined {
    const isV4 = source.family === 4
    const drop = this.check(packet, source, destination, isV4)
    if (drop !== undefined) return drop
    const { view } = packet.page
    const sourcePort = udpSourcePort(view, packet.data)
    const endpoints = this.byPort.get(udpDestinationPort(view, packet.data))
    const isForMany = packet.linkCast !== 'host' || destination.isMulticast
    if (isForMany || (isV4 && this.parts.addresses.isBroadcast(destination))) {
      return this.deliverToAll(packet, endpoints, source, sourcePort, destination, isV4)
    }
    let best: UdpEndpoint | null = null
    let bestScore = -1
    if (endpoints !== undefined) {
      for (const endpoint of endpoints) {
        const score = endpoint.score(source, sourcePort, destination, packet.interfaceIndex)
        // Of several that fit equally, the one bound last: as Linux has it.
        if (score >= 0 && score >= bestScore) {
          best = endpoint
          bestScore = score
        }
      }
    }
    if (best === null) return this.noPort(isV4)
    packet.pull(UDP_HEADER)
    return this.deliver(packet, best, isV4)
  }

  error(packet: Packet, error: IcmpError, _now: Micros): boolean {
    const { view } = packet.page
    const destinationPort = udpDestinationPort(view, packet.data)
    const endpoints = this.byPort.get(udpSourcePort(view, packet.data)) ?? []
    let matched = false
    for (const endpoint of endpoints) {
      // The quoted packet is ours: its destination is the endpoint's peer, its source the endpoint itself.
      if (endpoint.score(error.destination, destinationPort, error.source, endpoint.interfaceIndex) < 0) continue
      matched = true
      this.parts.calls.run(() => endpoint.onIcmpError?.(error, destinationPort))
      const code = codeOfIcmp(error.kind)
      if (endpoint.remoteAddress === null || code === null) continue
      // Who lets datagrams be fragmented need not know.
      if (code === 'EMSGSIZE' && !endpoint.dontFragment) continue
      endpoint.pendingError = code
      this.announce(endpoint)
    }
    return matched
  }

  deadline(): Micros {
    return this.announced.length > 0 ? IMMEDIATELY : NEVER
  }

  /** Wakes the readers of what came in. */
  poll(_now: Micros): void {
    if (this.announced.length === 0) return
    for (const endpoint of this.announced.splice(0)) {
      endpoint.announced = false
      if (!endpoint.closed) this.parts.calls.run(() => endpoint.onReadable?.())
    }
  }

  private check(packet: Packet, source: IpAddress, destination: IpAddress, isV4: boolean): Drop | undefined {
    if (!packet.linearize(Math.min(packet.length, UDP_HEADER))) return 'noBuffer'
    const { view } = packet.page
    const at = packet.data
    const malformed = checkUdp(view, at, packet.headLength, packet.length)
    if (malformed !== undefined) return this.inError(isV4, malformed)
    packet.trim(udpLength(view, at))
    if (udpChecksum(view, at) === 0) {
      // RFC 768: none was computed. RFC 8200 §8.1 does not allow that over IPv6.
      return isV4 ? undefined : this.inError(false, 'udpNoChecksum')
    }
    if (packet.checksum === 'partial' || packet.checksum === 'verified') return undefined
    const pseudo = pseudoHeaderSum(source, destination, PROTOCOL_UDP, packet.length)
    if (fold(sumFrom(packet, at) + pseudo) === 0xffff) return undefined
    if (isV4) this.parts.counters.UdpInCsumErrors++
    else this.parts.counters.Udp6InCsumErrors++
    return this.inError(isV4, 'udpChecksum')
  }

  private deliver(packet: Packet, endpoint: UdpEndpoint, isV4: boolean): Drop | undefined {
    const { counters } = this.parts
    if (!endpoint.queue.push(packet)) {
      endpoint.droppedDatagrams++
      if (isV4) counters.UdpRcvbufErrors++
      else counters.Udp6RcvbufErrors++
      return this.inError(isV4, 'udpReceiveQueueFull')
    }
    if (isV4) counters.UdpInDatagrams++
    else counters.Udp6InDatagrams++
    this.announce(endpoint)
    return undefined
  }

  /** Multicast and broadcast reach every endpoint that they fit (RFC 1122 §4.1.3.3). */
  private deliverToAll(
    packet: Packet,
    endpoints: UdpEndpoint[] | undefined,
    source: IpAddress,
    sourcePort: number,
    destination: IpAddress,
    isV4: boolean,
  ): Drop | undefined {
    let delivered = false
    packet.pull(UDP_HEADER)
    for (const endpoint of endpoints ?? []) {
      if (endpoint.score(source, sourcePort, destination, packet.interfaceIndex) < 0) continue
      if (!endpoint.admits(source, destination, packet.interfaceIndex)) continue
      delivered = true
      const twin = packet.copy(this.parts.pool)
      const drop = twin === null ? 'noBuffer' : this.deliver(twin, endpoint, isV4)
      if (drop === undefined) continue
      this.parts.counters.drops[drop]++
      twin?.release()
    }
    if (!delivered) return this.noPort(isV4)
    packet.release()
    return undefined
  }

  private noPort(isV4: boolean): Drop {
    if (isV4) this.parts.counters.UdpNoPorts++
    else this.parts.counters.Udp6NoPorts++
    return 'udpNoPort'
  }

  private wayTo(endpoint: UdpEndpoint, output: IpOutput, target: UdpTarget): Way | NoWay {
    const cached = endpoint.way
    const interfaceIndex =
      target.interfaceIndex ||
      endpoint.interfaceIndex ||
      (target.address.isMulticast ? endpoint.multicastInterfaceIndex : 0)
    if (cached?.destination.equals(target.address) && endpoint.wayInterfaceIndex === interfaceIndex) {
      if ((target.source === null || target.source.equals(cached.source)) && output.isFresh(cached)) return cached
    }
    const { localAddress } = endpoint
    // What one may bind to is more than what one may send from: groups and broadcast addresses are not.
    const isBound = localAddress.family === target.address.family && this.parts.addresses.isLocal(localAddress)
    this.wayOptions.source = target.source ?? (isBound ? localAddress : null)
    this.wayOptions.interfaceIndex = interfaceIndex
    endpoint.wayInterfaceIndex = interfaceIndex
    const way = output.resolve(target.address, this.wayOptions)
    // A source for one datagram alone is not the socket's.
    if (typeof way !== 'string') endpoint.way = target.source === null ? way : null
    return way
  }

  private pushHeader(packet: Packet, sourcePort: number, destinationPort: number, way: Way): void {
    const at = packet.push(UDP_HEADER)
    const { length } = packet
    // Left partial: whoever sends it on completes it, in software where the device does not.
    const checksum = fold(pseudoHeaderSum(way.source, way.destination, PROTOCOL_UDP, length))
    emitUdp(packet.page.view, at, { sourcePort, destinationPort, length, checksum })
    packet.transportAt = at
    packet.checksum = 'partial'
    packet.checksumStart = at
    packet.checksumField = at + CHECKSUM_AT
  }

  private announce(endpoint: UdpEndpoint): void {
    if (endpoint.announced) return
    endpoint.announced = true
    this.announced.push(endpoint)
  }

  private countSend(isV4: boolean, sent: boolean): void {
    const { counters } = this.parts
    if (sent) {
      if (isV4) counters.UdpOutDatagrams++
      else counters.Udp6OutDatagrams++
    } else if (isV4) counters.UdpSndbufErrors++
    else counters.Udp6SndbufErrors++
  }

  private inError(isV4: boolean, drop: Drop): Drop {
    if (isV4) this.parts.counters.UdpInErrors++
    else this.parts.counters.Udp6InErrors++
    return drop
  }
}

/** Whether two endpoints of one port would compete for the same datagrams. */
function clash(a: UdpEndpoint, b: UdpEndpoint): boolean {
  if (a.reuseAddress && b.reuseAddress) return false
  if (a.interfaceIndex !== 0 && b.interfaceIndex !== 0 && a.interfaceIndex !== b.interfaceIndex) return false
  const takesBoth = (endpoint: UdpEndpoint): boolean => endpoint.family === 6 && !endpoint.v6Only
  if (a.family !== b.family) {
    const six = a.family === 6 ? a : b
    return takesBoth(six) && six.localAddress.isUnspecified
  }
  return a.localAddress.isUnspecified || b.localAddress.isUnspecified || a.localAddress.equals(b.localAddress)
}

/** RFC 1122 §4.1.3.3: what a connected socket hears of. Null: nothing (the path, not the peer). */
function codeOfIcmp(kind: IcmpErrorKind): NetErrorCode | null {
  switch (kind) {
    case 'port-unreachable':
    case 'protocol-unreachable':
      return 'ECONNREFUSED'
    case 'host-unreachable':
    case 'admin-prohibited':
      return 'EHOSTUNREACH'
    case 'net-unreachable':
      return 'ENETUNREACH'
    case 'packet-too-big':
      return 'EMSGSIZE'
    case 'parameter-problem':
      return 'EPROTO'
    default:
      return null
  }
}
