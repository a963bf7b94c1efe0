// A UDP socket for programs: promises begin here. Knows nothing of Node; src/node mounts node:dgram on it.

import { NetError } from '../errors.ts'
import type { IcmpError } from '../ip/seams.ts'
import type { Stack } from '../stack.ts'
import type { UdpEndpoint, UdpOptions } from '../udp/endpoint.ts'
import type { UdpTarget } from '../udp/udp.ts'
import { IpAddress } from '../wire/address.ts'
import { ipVersion, ipv4Destination, ipv4Source, ipv4Ttl } from '../wire/ipv4.ts'
import { ipv6Destination, ipv6HopLimit, ipv6Source } from '../wire/ipv6.ts'
import { udpSourcePort } from '../wire/udp.ts'
import { Waiters } from './waiters.ts'

/** One datagram as a program sees it. */
export interface Datagram {
  readonly bytes: Uint8Array
  readonly source: IpAddress
  readonly sourcePort: number
  /** Which of our addresses, or which group, it was sent to. */
  readonly destination: IpAddress
  readonly interfaceIndex: number
  readonly hopLimit: number
}

export interface SendTo {
  /** A text is read anew for each datagram. */
  readonly address: IpAddress | string
  readonly port: number
  /** For link-local and multicast destinations; default: chosen. */
  readonly interfaceIndex?: number
  /** Which of our addresses to send from; default: the one bound to, else chosen. */
  readonly source?: IpAddress
}

interface GroupJoined {
  readonly group: IpAddress
  readonly interfaceIndex: number
  /** Joined for these sources alone; null: for all. */
  readonly sources: IpAddress[] | null
}

export class UdpSocket {
  readonly endpoint: UdpEndpoint
  private readonly stack: Stack
  private readonly readers = new Waiters()
  private readonly target: { -readonly [Name in keyof UdpTarget]: UdpTarget[Name] }
  private readonly memberships: GroupJoined[] = []

  /** Binds. Throws NetError: EADDRINUSE, EADDRNOTAVAIL, EINVAL, EMFILE. */
  constructor(stack: Stack, options: UdpOptions) {
    this.stack = stack
    this.endpoint = stack.udp.bind(options)
    this.endpoint.onReadable = () => this.readers.wake()
    this.target = { address: this.endpoint.localAddress, port: 0, interfaceIndex: 0, source: null }
  }

  get localAddress(): IpAddress {
    return this.endpoint.localAddress
  }

  get localPort(): number {
    return this.endpoint.localPort
  }

  get closed(): boolean {
    return this.endpoint.closed
  }

  /**
   * Fixes the peer: only its datagrams are received, and ICMP errors about ours reach the next operation. A wildcard socket
   * takes the address that the peer knows. Throws NetError: EAFNOSUPPORT, EINVAL, EBADF, ENETUNREACH, EACCES and the like.
   */
  connect(peer: IpAddress | string, port: number, interfaceIndex = 0): void {
    this.ensureOpen('connect')
    const address = IpAddress.of(peer)
    const { family, v6Only } = this.endpoint
    if (address.family !== family && (family === 4 || v6Only)) throw new NetError('EAFNOSUPPORT', `connect ${address}`)
    if (!(Number.isInteger(port) && port >= 1 && port <= 65_535))
      throw new NetError('EINVAL', `connect to port ${port}`)
    const code = this.stack.udp.connect(this.endpoint, address, port, interfaceIndex)
    if (code !== null) throw new NetError(code, `connect ${address} port ${port}`)
  }

  disconnect(): void {
    this.stack.udp.disconnect(this.endpoint)
  }

  /** Hears of every ICMP error about datagrams of this socket, whatever their destination. */
  set onIcmpError(listener: ((error: IcmpError, destinationPort: number) => void) | null) {
    this.endpoint.onIcmpError = listener
  }

  /**
   * Sends one datagram now; the bytes are copied. Without `to`, to the connected peer. Throws NetError: EACCES (broadcast not
   * allowed), EADDRNOTAVAIL, ECONNREFUSED and the like (an earlier datagram's ICMP error), EDESTADDRREQ, EMSGSIZE, ENETUNREACH,
   * ENOBUFS.
   */
  send(bytes: Uint8Array, to?: SendTo): void {
    this.ensureOpen('send')
    if (!(bytes instanceof Uint8Array)) throw new NetError('EINVAL', 'send: the payload is not a Uint8Array')
    this.throwPending('send')
    const { endpoint } = this
    const given = to?.address ?? endpoint.remoteAddress
    if (given === null || given === undefined) throw new NetError('EDESTADDRREQ', 'send: the socket is not connected')
    const address = IpAddress.of(given)
    const { target } = this
    target.address = address
    target.port = to?.port ?? endpoint.remotePort
    target.interfaceIndex = to === undefined ? endpoint.remoteInterfaceIndex : (to.interfaceIndex ?? 0)
    target.source = to?.source ?? null
    const code = this.stack.udp.send(endpoint, bytes, 0, bytes.length, target, this.stack.clock.now())
    if (code !== null) throw new NetError(code, `send ${address} port ${target.port}`)
    this.stack.onWork?.()
  }

  /** The datagram that has waited longest; null: none waits. Throws NetError for an ICMP error about an earlier one. */
  tryReceive(): Datagram | null {
    this.throwPending('receive')
    const packet = this.endpoint.take()
    if (packet === null) return null
    const { view } = packet.page
    const ip = packet.networkAt
    const isV4 = ipVersion(view, ip) === 4
    const datagram: Datagram = {
      bytes: packet.toBytes(),
      source: isV4 ? ipv4Source(view, ip) : ipv6Source(view, ip),
      sourcePort: udpSourcePort(view, packet.transportAt),
      destination: isV4 ? ipv4Destination(view, ip) : ipv6Destination(view, ip),
      interfaceIndex: packet.interfaceIndex,
      hopLimit: isV4 ? ipv4Ttl(view, ip) : ipv6HopLimit(view, ip),
    }
    packet.release()
    return datagram
  }

  /** Copies the next datagram's payload into `target` and returns its length, cut to fit; -1: none waits. Makes no object. */
  receiveInto(target: Uint8Array): number {
    this.throwPending('receive')
    const packet = this.endpoint.take()
    if (packet === null) return -1
    const length = Math.min(packet.length, target.length)
    packet.copyTo(0, length, target, 0)
    packet.release()
    return length
  }

  /** Waits for a datagram. Rejects with NetError (ECONNREFUSED … after connect, EBADF when closed) or the signal's reason. */
  async receive(options: { signal?: AbortSignal } = {}): Promise<Datagram> {
    for (;;) {
      options.signal?.throwIfAborted()
      this.ensureOpen('receive')
      const datagram = this.tryReceive()
      if (datagram !== null) return datagram
      await this.readers.wait(options.signal)
    }
  }

  /** Datagrams until the socket is closed. */
  async *[Symbol.asyncIterator](): AsyncIterator<Datagram> {
    while (!this.closed) {
      try {
        yield await this.receive()
      } catch (error) {
        if (error instanceof NetError && error.code === 'EBADF') return
        throw error
      }
    }
  }

  /** Receives what is sent to a group by that interface. Throws NetError: EADDRINUSE (joined already), EINVAL, ENODEV, ENOBUFS. */
  joinGroup(group: IpAddress, interfaceIndex: number): void {
    if (this.membership(group, interfaceIndex) >= 0)
      throw new NetError('EADDRINUSE', `join ${group}: it was joined before`)
    this.join(group, interfaceIndex)
    this.memberships.push({ group, interfaceIndex, sources: null })
  }

  /** Throws NetError: EADDRNOTAVAIL where it was not joined. */
  leaveGroup(group: IpAddress, interfaceIndex: number): void {
    const index = this.membership(group, interfaceIndex)
    if (index < 0) throw new NetError('EADDRNOTAVAIL', `leave ${group}: it was not joined by this socket`)
    for (const source of this.memberships[index]!.sources ?? []) this.forgetFilter(group, interfaceIndex, source)
    this.memberships.splice(index, 1)
    this.stack.multicast.leave(this.stack.interfaces.byIndex(interfaceIndex)!, group, this.stack.clock.now())
    this.stack.onWork?.()
  }

  /** Receives what `source` sends to a group; other sources are left out on this socket (RFC 3678 §4.1.2). Throws NetError as joinGroup. */
  joinSource(group: IpAddress, interfaceIndex: number, source: IpAddress): void {
    const known = this.memberships[this.membership(group, interfaceIndex)]
    if (known?.sources === null) throw new NetError('EINVAL', `join ${group}: it was joined for all sources`)
    if (known?.sources.some((other) => other.equals(source)))
      throw new NetError('EADDRNOTAVAIL', `join ${group}: ${source} was joined before`)
    if (known === undefined) {
      this.join(group, interfaceIndex)
      this.memberships.push({ group, interfaceIndex, sources: [source] })
    } else known.sources.push(source)
    this.endpoint.sourceFilters.push({ group, interfaceIndex, source })
  }

  /** With the last source the group is left. Throws NetError: EINVAL where the group was not joined, EADDRNOTAVAIL for the source. */
  leaveSource(group: IpAddress, interfaceIndex: number, source: IpAddress): void {
    const known = this.memberships[this.membership(group, interfaceIndex)]
    if (known === undefined || known.sources === null) throw new NetError('EINVAL', `leave ${group}: it was not joined`)
    const at = known.sources.findIndex((other) => other.equals(source))
    if (at < 0) throw new NetError('EADDRNOTAVAIL', `leave ${group}: ${source} was not joined`)
    known.sources.splice(at, 1)
    this.forgetFilter(group, interfaceIndex, source)
    if (known.sources.length === 0) this.leaveGroup(group, interfaceIndex)
  }

  private join(group: IpAddress, interfaceIndex: number): void {
    this.ensureOpen('join')
    const on = this.stack.interfaces.byIndex(interfaceIndex)
    if (on === undefined) throw new NetError('ENODEV', `join ${group}: there is no interface ${interfaceIndex}`)
    this.stack.multicast.join(on, group, this.stack.clock.now())
    this.stack.onWork?.()
  }

  private membership(group: IpAddress, interfaceIndex: number): number {
    return this.memberships.findIndex((one) => one.interfaceIndex === interfaceIndex && one.group.equals(group))
  }

  private forgetFilter(group: IpAddress, interfaceIndex: number, source: IpAddress): void {
    const { sourceFilters } = this.endpoint
    const at = sourceFilters.findIndex(
      (filter) =>
        filter.interfaceIndex === interfaceIndex && filter.group.equals(group) && filter.source.equals(source),
    )
    sourceFilters.splice(at, 1)
  }

  /** Closes; whoever waits is told. A second call does nothing. */
  close(): void {
    if (this.closed) return
    for (const { group, interfaceIndex } of [...this.memberships]) this.leaveGroup(group, interfaceIndex)
    this.stack.udp.close(this.endpoint)
    this.readers.wake()
  }

  private ensureOpen(operation: string): void {
    if (this.closed) throw new NetError('EBADF', `${operation}: the socket is closed`)
  }

  private throwPending(operation: string): void {
    const { endpoint } = this
    const code = endpoint.takeError()
    if (code !== null) throw new NetError(code, `${operation} ${endpoint.remoteAddress} port ${endpoint.remotePort}`)
  }
}
