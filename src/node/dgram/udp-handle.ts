// One UDP port of a host as libuv shows one to node:dgram: made unbound, bound late, errors returned as codes, system
// limits as Linux has them. socket.ts stands on it.

import type { NetErrorCode } from '../../errors.ts'
import { NetError } from '../../errors.ts'
import { type Datagram, type SendTo, UdpSocket } from '../../socket/udp-socket.ts'
import type { Stack } from '../../stack.ts'
import { anyAddress, type Family, type IpAddress, LOOPBACK4, LOOPBACK6 } from '../../wire/address.ts'
import type { Hold, KeepAlive } from '../keep-alive.ts'
import type { NodeHost } from '../node-host.ts'
import { parseZoned, type ZonedAddress } from '../zoned-address.ts'

export interface RemoteInfo {
  address: string
  family: 'IPv4' | 'IPv6'
  port: number
  size: number
}

export type SocketAddressInfo = Omit<RemoteInfo, 'size'>

export interface BindFlags {
  readonly reuseAddress: boolean
  readonly v6Only: boolean
}

/** net.core.rmem_max and wmem_max; what is set is doubled, as the kernel charges its own overhead to it. */
const MAX_BUFFER = 212_992
/** setsockopt(2) takes an int. */
const MAX_INT32 = 0x7fff_ffff
/** Linux's SOCK_MIN_RCVBUF and SOCK_MIN_SNDBUF. */
const LEAST_RECEIVE_BUFFER = 2_304
const LEAST_SEND_BUFFER = 4_608

export class UdpHandle {
  readonly family: Family
  /** A datagram came; runs in a tick of its own. */
  onMessage: ((bytes: Buffer, from: RemoteInfo) => void) | null = null
  /** Receiving failed with this code. */
  onError: ((code: string) => void) | null = null
  /** The host was closed: nothing comes any more. */
  onGone: (() => void) | null = null
  private readonly stack: Stack
  private readonly keepAlive: KeepAlive
  private udp: UdpSocket | null = null
  private hold: Hold | null = null
  private refed = true
  private pumping = false
  /** Datagrams that this turn of the event loop still hands over. */
  private batchLeft = 0
  private sendBuffer = MAX_BUFFER
  private receiveBuffer = MAX_BUFFER
  private readonly pump = (): void => this.takeOne()

  constructor(host: NodeHost, family: Family) {
    this.stack = host.stack
    this.keepAlive = host.keepAlive
    this.family = family
  }

  bind(text: string, port: number, flags: BindFlags): string | null {
    const parsed = this.parse(text)
    if (parsed === null || this.udp !== null || (flags.v6Only && this.family === 4)) return 'EINVAL'
    const { address, interfaceIndex } = parsed
    return this.open({
      address,
      port: port & 0xffff,
      reuseAddress: flags.reuseAddress,
      v6Only: flags.v6Only,
      interfaceIndex: address.isLinkLocal ? interfaceIndex : 0,
    })
  }

  /** Messages are handed over from now on, and the process is kept alive. */
  recvStart(): void {
    this.hold = this.keepAlive.hold()
    if (!this.refed) this.hold.unref()
    this.udp!.endpoint.onReadable = () => this.wake()
    this.wake()
  }

  recvStop(): void {
    this.hold?.release()
    this.hold = null
    if (this.udp !== null) this.udp.endpoint.onReadable = null
  }

  /** The number of bytes sent, or the code of the error. Without `text`, to the connected peer. */
  send(list: readonly Uint8Array[], port: number, text: string | null): number | string {
    const bytes = list.length === 1 ? list[0]! : Buffer.concat(list)
    // It was connected while the address was looked up.
    if (text !== null && this.udp !== null && this.udp.endpoint.remoteAddress !== null) return 'EISCONN'
    const to = text === null ? undefined : this.target(text, port)
    if (to === null) return 'EINVAL'
    const failed = this.deferredBind() ?? codeOf(() => this.udp!.send(bytes, to))
    return failed ?? bytes.length
  }

  connect(text: string, port: number): string | null {
    const to = this.target(text, port)
    if (to === null) return 'EINVAL'
    return this.deferredBind() ?? codeOf(() => this.udp!.connect(to.address, port, to.interfaceIndex))
  }

  disconnect(): string | null {
    if (this.udp === null) return 'EBADF'
    this.udp.disconnect()
    return null
  }

  getsockname(): SocketAddressInfo | null {
    return this.udp === null ? null : this.info(this.udp.localAddress, this.udp.localPort, 0)
  }

  getpeername(): SocketAddressInfo {
    const { remoteAddress, remotePort, remoteInterfaceIndex } = this.udp!.endpoint
    return this.info(remoteAddress ?? anyAddress(this.family), remotePort, remoteInterfaceIndex)
  }

  setBroadcast(on: boolean): string | null {
    return this.option((udp) => {
      udp.endpoint.broadcast = on
    })
  }

  setTTL(ttl: number): string | null {
    const value = ttl | 0
    if (value < 1 || value > 255) return 'EINVAL'
    return this.option((udp) => {
      udp.endpoint.hopLimit = value
    })
  }

  setMulticastTTL(ttl: number): string | null {
    const value = ttl | 0
    if (value < 0 || value > 255) return 'EINVAL'
    return this.option((udp) => {
      udp.endpoint.multicastHopLimit = value
    })
  }

  setMulticastLoopback(on: boolean): string | null {
    return this.option((udp) => {
      udp.endpoint.multicastLoop = on
    })
  }

  setMulticastInterface(text: string): string | null {
    const parsed = parseZoned(text, this.stack)
    if (parsed === null) return 'EINVAL'
    if (this.udp === null) return 'EBADF'
    const { address } = parsed
    if (address.family === 6 && this.family === 4) return 'ENOPROTOOPT'
    let { interfaceIndex } = parsed
    if (address.family === 4 && !address.isUnspecified) {
      interfaceIndex = this.stack.interfaces.find(address)?.interface.index ?? 0
      if (interfaceIndex === 0) return 'EADDRNOTAVAIL'
    }
    this.udp.endpoint.multicastInterfaceIndex = interfaceIndex
    return null
  }

  addMembership(group: string, on: string | undefined): string | null {
    return this.withGroup(group, on, (udp, address, index) => udp.joinGroup(address, index))
  }

  dropMembership(group: string, on: string | undefined): string | null {
    return this.withGroup(group, on, (udp, address, index) => udp.leaveGroup(address, index))
  }

  addSourceSpecificMembership(source: string, group: string, on: string | undefined): string | null {
    return this.withSource(source, group, on, (udp, address, index, from) => udp.joinSource(address, index, from))
  }

  dropSourceSpecificMembership(source: string, group: string, on: string | undefined): string | null {
    return this.withSource(source, group, on, (udp, address, index, from) => udp.leaveSource(address, index, from))
  }

  /** The size now; with a `size` above 0 it is set first. A string is the code of the error. */
  bufferSize(size: number, isReceive: boolean): number | string {
    if (size > MAX_INT32) return 'EINVAL'
    if (this.udp === null) return 'EBADF'
    if (size === 0) return isReceive ? this.receiveBuffer : this.sendBuffer
    const least = isReceive ? LEAST_RECEIVE_BUFFER : LEAST_SEND_BUFFER
    const granted = Math.max(2 * Math.min(size, MAX_BUFFER), least)
    if (isReceive) {
      this.receiveBuffer = granted
      this.udp.endpoint.queue.limitBytes = granted
    } else this.sendBuffer = granted
    return granted
  }

  /** What is sent leaves at once: nothing waits here. */
  getSendQueueSize(): number {
    return 0
  }

  getSendQueueCount(): number {
    return 0
  }

  ref(): void {
    this.refed = true
    this.hold?.ref()
  }

  unref(): void {
    this.refed = false
    this.hold?.unref()
  }

  hasRef(): boolean {
    return this.refed
  }

  close(): void {
    this.recvStop()
    this.udp?.close()
    this.udp = null
  }

  /** As libuv: what needs a system socket makes one, bound to any address and an ephemeral port. */
  private deferredBind(): string | null {
    if (this.udp !== null) return null
    return this.open({
      address: anyAddress(this.family),
      port: 0,
      reuseAddress: false,
      v6Only: false,
      interfaceIndex: 0,
    })
  }

  private open(options: {
    address: IpAddress
    port: number
    reuseAddress: boolean
    v6Only: boolean
    interfaceIndex: number
  }): string | null {
    return codeOf(() => {
      this.udp = new UdpSocket(this.stack, { family: this.family, receiveBytes: this.receiveBuffer, ...options })
    })
  }

  private option(set: (udp: UdpSocket) => void): string | null {
    if (this.udp === null) return 'EBADF'
    set(this.udp)
    return null
  }

  private withGroup(
    text: string,
    on: string | undefined,
    act: (udp: UdpSocket, group: IpAddress, interfaceIndex: number) => void,
  ): string | null {
    const group = parseZoned(String(text), this.stack)
    if (group === null) return 'EINVAL'
    const failed = this.deferredBind()
    if (failed !== null) return failed
    // An IPv6 socket takes part in groups of both families.
    if (group.address.family === 6 && this.family === 4) return 'ENOPROTOOPT'
    const chosen = this.groupInterface(group, on)
    if (typeof chosen === 'string') return chosen
    return codeOf(() => act(this.udp!, group.address, chosen))
  }

  private withSource(
    source: string,
    group: string,
    on: string | undefined,
    act: (udp: UdpSocket, group: IpAddress, interfaceIndex: number, source: IpAddress) => void,
  ): string | null {
    const from = parseZoned(source, this.stack)
    if (from === null) return 'EINVAL'
    return this.withGroup(group, on, (udp, address, index) => {
      if (address.family !== from.address.family) throw new NetError('EINVAL', `${address} from ${from.address}`)
      act(udp, address, index, from.address)
    })
  }

  /** The interface that a membership is for, or the code of the error. */
  private groupInterface(group: ZonedAddress, on: string | undefined): number | string {
    if (!group.address.isMulticast) return 'EINVAL'
    const wanted = on === undefined || on === null ? null : parseZoned(String(on), this.stack)
    if (wanted === null && on !== undefined && on !== null) return 'EINVAL'
    const { family } = group.address
    if (wanted !== null && wanted.address.family !== family) return 'EINVAL'
    if (wanted !== null && family === 4 && !wanted.address.isUnspecified)
      return this.stack.interfaces.find(wanted.address)?.interface.index ?? 'ENODEV'
    const named = (wanted?.interfaceIndex ?? 0) || group.interfaceIndex
    if (named !== 0) return named
    const output = family === 4 ? this.stack.ipv4 : this.stack.ipv6
    const way = output.resolve(group.address, { source: null, interfaceIndex: 0 })
    return typeof way === 'string' ? 'ENODEV' : way.interfaceIndex
  }

  private parse(text: string): ZonedAddress | null {
    const parsed = parseZoned(text, this.stack)
    return parsed === null || parsed.address.family !== this.family ? null : parsed
  }

  private target(text: string, port: number): SendTo | null {
    const parsed = this.parse(text)
    if (parsed === null) return null
    let { address } = parsed
    if (address.isMapped4) address = address.unmapped()
    // As in Linux, nobody's address means this host.
    if (address.isUnspecified) address = this.family === 4 ? LOOPBACK4 : LOOPBACK6
    return { address, port, interfaceIndex: parsed.interfaceIndex }
  }

  private info(address: IpAddress, port: number, interfaceIndex: number): SocketAddressInfo {
    const isMapped = address.family === 4 && this.family === 6
    const zone = address.family === 6 && address.isLinkLocal ? this.stack.interfaces.byIndex(interfaceIndex) : undefined
    const text = isMapped ? `::ffff:${address}` : `${address}${zone === undefined ? '' : `%${zone.name}`}`
    return { address: text, family: this.family === 4 ? 'IPv4' : 'IPv6', port }
  }

  /** As Node's, messages come from the event loop and not from within a tick: two sockets that answer each other starve nobody. */
  private wake(): void {
    if (this.pumping) return
    this.pumping = true
    setImmediate(() => {
      this.batchLeft = Math.max(1, this.udp?.endpoint.queue.length ?? 0)
      this.takeOne()
    })
  }

  /** One datagram; the next has its turn when all ticks and promises that this one caused are done, as between Node's callbacks. */
  private takeOne(): void {
    this.pumping = false
    const { udp } = this
    if (udp === null || this.hold === null) return
    let datagram: Datagram | null = null
    const failed = codeOf(() => {
      datagram = udp.tryReceive()
    })
    if (failed === null && datagram === null) {
      if (udp.closed) this.onGone?.()
      return
    }
    if (--this.batchLeft > 0) {
      this.pumping = true
      queueMicrotask(() => process.nextTick(this.pump))
    } else this.wake()
    if (failed !== null) this.onError?.(failed)
    else this.deliver(datagram!)
  }

  private deliver(datagram: Datagram): void {
    const { bytes, source, sourcePort, interfaceIndex } = datagram
    const from = this.info(source, sourcePort, interfaceIndex)
    this.onMessage?.(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), { ...from, size: bytes.length })
  }
}

/** The code of what `act` throws; null: it went well. */
function codeOf(act: () => void): NetErrorCode | null {
  try {
    act()
    return null
  } catch (error) {
    if (error instanceof NetError) return error.code
    throw error
  }
}
