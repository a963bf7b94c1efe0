// Links that carry one frame in each UDP datagram, over node:dgram: VXLAN (RFC 7348), QEMU's `-netdev dgram`, and the tunnel
// between two hosts of ours. They differ in the bytes before the frame. Only what comes from the configured
// remote address and port is taken.
//
//   VXLAN:  | flags 0x08, 24 reserved bits | VNI 24, 8 reserved bits | Ethernet frame

import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import type { Packet } from '../src/buf/packet.ts'
import type { PagePool } from '../src/buf/page.ts'
import type { Counters } from '../src/counters.ts'
import { EnvironmentError } from '../src/errors.ts'
import { NO_OFFLOADS } from '../src/link/device.ts'
import type { EdgeDevice } from '../src/link/edge-device.ts'
import type { LinkEndpoint } from '../src/link/link-name.ts'
import { type Micros, NEVER } from '../src/time.ts'
import { IpAddress } from '../src/wire/address.ts'
import { ETHERNET_HEADER, VLAN_TAG } from '../src/wire/ethernet.ts'
import { FrameInbox } from './frame-inbox.ts'

export interface DatagramLinkOptions {
  readonly name: string
  readonly local: LinkEndpoint
  readonly remote: LinkEndpoint
  /** The VXLAN network identifier; null: the frame alone is in the datagram. */
  readonly vni: number | null
  readonly pool: PagePool
  readonly counters: Counters
  /** Default 1,500; with VXLAN 1,450, so that what goes out fits into an underlay of 1,500. */
  readonly mtu?: number
}

export const VXLAN_HEADER = 8
const VNI_VALID = 0x08
const DEFAULT_MTU = 1_500
/** IPv4 20, UDP 8, VXLAN 8, inner Ethernet 14. */
const DEFAULT_VXLAN_MTU = 1_450
/** Bytes that the system holds for us while we are busy: a burst of some hundred frames. */
const SOCKET_BUFFER_BYTES = 1 << 20
/** Datagrams handed to libuv and not yet sent; more is a full device. */
const SEND_QUEUE_BYTES = 1 << 20

/** Why a VXLAN header is not ours to take; undefined when it is. */
export function checkVxlan(view: DataView, length: number, vni: number): 'frameTooShort' | 'notForUs' | undefined {
  if (length < VXLAN_HEADER + ETHERNET_HEADER) return 'frameTooShort'
  // RFC 7348 §5: the I flag must be set; the reserved bits are ignored on receipt.
  if ((view.getUint8(0) & VNI_VALID) === 0) return 'notForUs'
  return view.getUint32(4) >>> 8 === vni ? undefined : 'notForUs'
}

export function emitVxlan(view: DataView, at: number, vni: number): void {
  view.setUint32(at, VNI_VALID << 24)
  view.setUint32(at + 4, (vni << 8) >>> 0)
}

export class DatagramLink implements EdgeDevice {
  readonly name: string
  readonly medium = 'ethernet'
  readonly mtu: number
  readonly offloads = NO_OFFLOADS
  readonly macAddress = null
  onReceive: ((packet: Packet) => void) | null = null
  onReadable: (() => void) | null = null
  onFailure: ((error: Error) => void) | null = null

  private readonly socket: Socket
  private readonly remote: LinkEndpoint
  private readonly remoteText: string
  private readonly vni: number | null
  private readonly headerBytes: number
  private readonly counters: Counters
  private readonly inbox: FrameInbox
  /** The text of the last sender found to be the remote: its spelling is the system's. */
  private knownSender: string
  private closed = false
  /** Datagrams that Node has not handed to the system yet, which it does when its turn of the loop is over. */
  private pending = 0

  /** Use openDatagramLink, which binds the socket. */
  constructor(socket: Socket, options: DatagramLinkOptions) {
    this.socket = socket
    this.name = options.name
    this.remote = options.remote
    this.remoteText = options.remote.address.toString()
    this.knownSender = this.remoteText
    this.vni = options.vni
    this.headerBytes = options.vni === null ? 0 : VXLAN_HEADER
    this.mtu = options.mtu ?? (options.vni === null ? DEFAULT_MTU : DEFAULT_VXLAN_MTU)
    this.counters = options.counters
    this.inbox = new FrameInbox({ ...options, medium: 'ethernet' }, () => this.onReadable?.())
    socket.on('message', (message, sender) => this.receive(message, sender))
    // A datagram that found nobody (ECONNREFUSED) or no way is lost, as any other may be.
    socket.on('error', () => {
      this.counters.drops.deviceDown++
    })
  }

  /** Where the socket is bound: of use where the port was 0. */
  get port(): number {
    return this.socket.address().port
  }

  drain(budget: number): number {
    return this.inbox.drain(budget, this.onReceive)
  }

  arm(): void {
    this.inbox.arm()
  }

  transmit(packet: Packet): boolean {
    const length = packet.length
    const { drops } = this.counters
    let refused: 'deviceDown' | 'deviceRefused' | 'deviceFull' | undefined
    if (this.closed) refused = 'deviceDown'
    else if (length > this.mtu + ETHERNET_HEADER + VLAN_TAG) refused = 'deviceRefused'
    else if (this.socket.getSendQueueSize() > SEND_QUEUE_BYTES) refused = 'deviceFull'
    if (refused !== undefined) {
      drops[refused]++
      packet.release()
      return false
    }
    // libuv may keep the bytes beyond this call, and pages are reused: the datagram has memory of its own.
    const datagram = Buffer.allocUnsafe(this.headerBytes + length)
    if (this.vni !== null) {
      emitVxlan(new DataView(datagram.buffer, datagram.byteOffset, VXLAN_HEADER), 0, this.vni)
    }
    packet.copyTo(0, length, datagram, this.headerBytes)
    packet.release()
    this.pending++
    this.socket.send(datagram, this.remote.port, this.remoteText, (error) => {
      if (error !== null) drops.deviceDown++
      this.pending--
      if (this.closed && this.pending === 0) this.socket.close()
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
    // What was sent last is the end of connections: it goes out first.
    if (this.pending === 0) this.socket.close()
  }

  private receive(message: Buffer, sender: RemoteInfo): void {
    const { drops } = this.counters
    if (this.closed) return
    if (!this.isRemote(sender)) {
      drops.notForUs++
      return
    }
    if (message.length < this.headerBytes + ETHERNET_HEADER) {
      drops.frameTooShort++
      return
    }
    if (this.vni !== null) {
      const view = new DataView(message.buffer, message.byteOffset, message.length)
      const drop = checkVxlan(view, message.length, this.vni)
      if (drop !== undefined) {
        drops[drop]++
        return
      }
    }
    const packet = this.inbox.copyIn(message, this.headerBytes, message.length - this.headerBytes)
    if (packet !== null) this.inbox.accept(packet)
  }

  /**
   * VXLAN senders choose the source port by flow (RFC 7348 §5): there only the address tells who it is. The others
   * answer from where they are reached.
   */
  private isRemote(sender: RemoteInfo): boolean {
    if (this.vni === null && sender.port !== this.remote.port) return false
    if (sender.address === this.knownSender) return true
    const address = IpAddress.parse(sender.address.split('%')[0]!)
    if (address === null || !address.equals(this.remote.address)) return false
    this.knownSender = sender.address
    return true
  }
}

/** Binds the local address; EnvironmentError where it is taken or not ours. */
export function openDatagramLink(options: DatagramLinkOptions): Promise<DatagramLink> {
  const { address, port } = options.local
  const socket = createSocket({ type: address.family === 6 ? 'udp6' : 'udp4', reuseAddr: false })
  return new Promise((resolve, reject) => {
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.close()
      reject(bindError(error, address.toString(), port))
    })
    socket.bind(port, address.toString(), () => {
      socket.removeAllListeners('error')
      setBuffers(socket)
      socket.unref()
      resolve(new DatagramLink(socket, options))
    })
  })
}

/** The system may allow less, or nothing: then the default stays. */
function setBuffers(socket: Socket): void {
  try {
    socket.setRecvBufferSize(SOCKET_BUFFER_BYTES)
    socket.setSendBufferSize(SOCKET_BUFFER_BYTES)
  } catch (error) {
    if (!(error instanceof Error)) throw error
  }
}

function bindError(error: NodeJS.ErrnoException, address: string, port: number): Error {
  const what = `UDP port ${port} of ${address}`
  if (error.code === 'EADDRINUSE')
    return new EnvironmentError(
      what,
      "another socket has it; the kernel's own vxlan interface takes its port on all addresses, so it must live in another network namespace",
      `ss -lunp sport = :${port} names who; choose another port`,
    )
  if (error.code === 'EADDRNOTAVAIL')
    return new EnvironmentError(
      what,
      'the address is not one of this machine',
      'ip -brief address lists those that are',
    )
  if (error.code === 'EACCES')
    return new EnvironmentError(what, 'ports below 1024 need CAP_NET_BIND_SERVICE', 'choose a port from 1024 on')
  return new EnvironmentError(what, `it cannot be bound (${error.code})`, 'choose another address or port')
}
