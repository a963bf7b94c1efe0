// A point-to-point link of IP packets in an IP protocol of one's choice, over the system's raw sockets (the optional
// package raw-socket, compiled when it is installed). With protocol 4 or 41 it is the tunnel of RFC 2003 or RFC 4213,
// which a kernel's ipip or sit interface ends; with 253 (RFC 3692) it is between two of ours.

import { FrameInbox } from '../../native-free-fallback/frame-inbox.ts'
import type { Packet } from '../buf/packet.ts'
import type { PagePool } from '../buf/page.ts'
import type { Counters, Drop } from '../counters.ts'
import { EnvironmentError } from '../errors.ts'
import { NO_OFFLOADS } from '../link/device.ts'
import type { EdgeDevice } from '../link/edge-device.ts'
import { type Micros, NEVER } from '../time.ts'
import { IpAddress } from '../wire/address.ts'
import { IPV4_HEADER, IPV4_MAX_PACKET, ipVersion, ipv4HeaderLength } from '../wire/ipv4.ts'
import { IPV6_HEADER } from '../wire/ipv6.ts'

export interface RawLinkOptions {
  readonly protocol: number
  readonly remote: IpAddress
  readonly pool: PagePool
  readonly counters: Counters
  /** Default: what is left of 1,500 behind the outer header. */
  readonly mtu?: number
}

const UNDERLAY_MTU = 1_500
/** Packets given to the socket and not yet sent; more is a full device. */
const SEND_QUEUE_PACKETS = 256

type RawSocketModule = typeof import('raw-socket')
type RawSocket = import('raw-socket').RawSocket

/** The package, or an EnvironmentError where it is absent or was not compiled. */
export async function loadRawSocket(): Promise<RawSocketModule> {
  try {
    const module = (await import('raw-socket')) as RawSocketModule & { default?: RawSocketModule }
    return module.default ?? module
  } catch (error) {
    const why = String(error instanceof Error ? error.message : error).split('\n')[0]
    throw new EnvironmentError(
      'raw sockets',
      `the optional package raw-socket does not load (${why})`,
      'npm install raw-socket (it needs a C++ compiler, make and python3)',
    )
  }
}

export class RawLink implements EdgeDevice {
  readonly name: string
  readonly medium = 'ip'
  readonly mtu: number
  readonly offloads = NO_OFFLOADS
  readonly macAddress = null
  onReceive: ((packet: Packet) => void) | null = null
  onReadable: (() => void) | null = null
  onFailure: ((error: Error) => void) | null = null

  private readonly socket: RawSocket
  private readonly remote: IpAddress
  private readonly remoteText: string
  private readonly counters: Counters
  private readonly inbox: FrameInbox
  private sending = 0
  private closed = false

  /** Use openRawLink, which makes the socket. */
  constructor(socket: RawSocket, options: RawLinkOptions) {
    this.socket = socket
    this.remote = options.remote
    this.remoteText = options.remote.toString()
    this.name = `raw${options.protocol}-${this.remoteText}`
    this.mtu = options.mtu ?? UNDERLAY_MTU - (options.remote.family === 4 ? IPV4_HEADER : IPV6_HEADER)
    this.counters = options.counters
    this.inbox = new FrameInbox({ ...options, medium: 'ip' }, () => this.onReadable?.())
    socket.on('message', (message, source) => this.receive(message, source))
    socket.on('error', (error) => this.fail(error))
  }

  drain(budget: number): number {
    return this.inbox.drain(budget, this.onReceive)
  }

  arm(): void {
    this.inbox.arm()
  }

  transmit(packet: Packet): boolean {
    const { drops } = this.counters
    let refused: Drop | undefined
    if (this.closed) refused = 'deviceDown'
    else if (packet.length > this.mtu) refused = 'deviceRefused'
    else if (this.sending >= SEND_QUEUE_PACKETS) refused = 'deviceFull'
    if (refused !== undefined) {
      drops[refused]++
      packet.release()
      return false
    }
    // The package keeps the buffer until the socket takes it, and pages are reused.
    const message = Buffer.allocUnsafe(packet.length)
    packet.copyTo(0, message.length, message, 0)
    packet.release()
    this.sending++
    this.socket.send(message, 0, message.length, this.remoteText, (error) => {
      this.sending--
      if (error !== null) drops.deviceDown++
    })
    return true
  }

  deadline(): Micros {
    return NEVER
  }

  poll(): void {}

  close(): void {
    if (this.closed) return
    this.closed = true
    this.inbox.close()
    this.socket.close()
  }

  private receive(message: Buffer, source: string): void {
    if (this.closed) return
    const { drops } = this.counters
    const sender = IpAddress.parse(source.split('%')[0]!)
    if (sender === null || !sender.equals(this.remote)) {
      drops.notForUs++
      return
    }
    const at = payloadAt(message, this.remote.family)
    const version = at < 0 ? 0 : message[at]! >>> 4
    if (version !== 4 && version !== 6) {
      drops.ipVersion++
      return
    }
    const packet = this.inbox.copyIn(message, at, message.length - at)
    if (packet !== null) this.inbox.accept(packet)
  }

  private fail(error: Error): void {
    if (this.closed) return
    this.onFailure?.(new EnvironmentError(`the link ${this.name}`, error.message, 'start again'))
  }
}

/** Where the inner packet begins: raw(7) hands IPv4 over with the outer header, IPv6 without; -1 where there is none. */
function payloadAt(message: Buffer, family: 4 | 6): number {
  if (family === 6) return message.length > 0 ? 0 : -1
  if (message.length <= IPV4_HEADER) return -1
  const view = new DataView(message.buffer, message.byteOffset, message.length)
  const at = ipv4HeaderLength(view, 0)
  return ipVersion(view, 0) === 4 && at >= IPV4_HEADER && at < message.length ? at : -1
}

export async function openRawLink(options: RawLinkOptions): Promise<RawLink> {
  const raw = await loadRawSocket()
  const addressFamily = options.remote.family === 6 ? raw.AddressFamily.IPv6 : raw.AddressFamily.IPv4
  try {
    const socket = raw.createSocket({ protocol: options.protocol, addressFamily, bufferSize: IPV4_MAX_PACKET + 1 })
    return new RawLink(socket, options)
  } catch (error) {
    throw new EnvironmentError(
      `a raw socket of protocol ${options.protocol}`,
      `the kernel refuses it (${error instanceof Error ? error.message : String(error)}): it needs CAP_NET_RAW`,
      'sudo setcap cap_net_raw+ep $(command -v node), or run as root',
    )
  }
}
