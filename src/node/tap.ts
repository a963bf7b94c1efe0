// TAP (Ethernet frames) and TUN (IP packets) devices, read and written without blocking. Opened by open-tap.ts, drained by
// the driver. The kernel's documentation: networking/tuntap.rst.
//
// A frame is read into a pool page so that its IP header is 4-byte aligned, the virtio-net header just before it:
//
//   page:  0 ...... | virtio-net 10 | Ethernet 14 | IP ...
//                                   ^ RECEIVE_HEADROOM, or 2 less where there is no Ethernet header

import { closeSync } from 'node:fs'
import {
  readVirtioNetHeader,
  VIRTIO_NET_HEADER,
  writeVirtioNetHeader,
} from '../../native-free-fallback/virtio-net-header.ts'
import { Packet, RECEIVE_HEADROOM } from '../buf/packet.ts'
import { LARGE_PAGE, type Page, type PagePool, SMALL_PAGE } from '../buf/page.ts'
import type { Counters } from '../counters.ts'
import { EnvironmentError } from '../errors.ts'
import { NO_OFFLOADS, type Offloads } from '../link/device.ts'
import type { EdgeDevice } from '../link/edge-device.ts'
import { type Micros, NEVER } from '../time.ts'
import { ETHERNET_HEADER, type MacAddress, VLAN_TAG } from '../wire/ethernet.ts'
import { EAGAIN, EBADFD, EINTR, EINVAL, EIO, ENOBUFS, ENOMEM, type Libc } from './libc.ts'
import { type Readiness, type ReadinessKind, watchReadable } from './readiness.ts'

export interface TapOptions {
  readonly name: string
  /** tap: Ethernet frames. tun: IP packets. */
  readonly mode: 'tap' | 'tun'
  readonly pool: PagePool
  readonly counters: Counters
  /** Default: what the kernel's interface has. */
  readonly mtu?: number
  /** Exchange super-segments and partial checksums with the kernel where it takes them. Default true. */
  readonly offload?: boolean
  /** How to wait for frames; default: the best that works. */
  readonly readiness?: ReadinessKind
}

/** An IP packet of 65,535 bytes is the longest super-segment there is. */
const SEGMENT_BYTES = 65_535
const IOVEC_BYTES = 16
/** Pieces that one writev takes; a packet of more is copied together first. */
const MAX_VECTORS = 64

/** What openTap found out. */
export interface Attachment {
  readonly fd: number
  readonly name: string
  readonly mtu: number
  /** Each frame has a virtio-net header before it. */
  readonly header: boolean
  /** The kernel took the offloads. */
  readonly offloaded: boolean
}

export class TapDevice implements EdgeDevice {
  readonly name: string
  readonly medium: 'ethernet' | 'ip'
  readonly mtu: number
  readonly offloads: Offloads
  readonly macAddress: MacAddress | null = null
  readonly readiness: Readiness
  onReceive: ((packet: Packet) => void) | null = null
  onReadable: (() => void) | null = null
  onFailure: ((error: Error) => void) | null = null

  private readonly fd: number
  private readonly libc: Libc
  private readonly pool: PagePool
  private readonly counters: Counters
  /** Bytes of the virtio-net header before each frame; 0: there is none. */
  private readonly headerBytes: number
  private readonly headroom: number
  /** The longest frame that is written. */
  private readonly frameLimit: number
  /** Frames may be longer than a small page holds. */
  private readonly large: boolean
  /** Frames are read into it while the pool is empty, and long packets gathered. */
  private readonly scratch = new ArrayBuffer(LARGE_PAGE)
  private readonly scratchBytes = new Uint8Array(this.scratch)
  private readonly vectors = new ArrayBuffer(IOVEC_BYTES * MAX_VECTORS + VIRTIO_NET_HEADER)
  private readonly vectorView = new DataView(this.vectors)
  private readonly vectorsAddress: number
  private slab: ArrayBuffer
  private slabAddress: number
  private closed = false
  private failed = false

  /** Use openTap (open-tap.ts), which says what is wrong where it fails. */
  constructor(libc: Libc, { fd, name, mtu, header, offloaded }: Attachment, options: TapOptions) {
    this.libc = libc
    this.fd = fd
    this.name = name
    this.mtu = mtu
    this.pool = options.pool
    this.counters = options.counters
    this.medium = options.mode === 'tap' ? 'ethernet' : 'ip'
    this.offloads = offloaded ? { checksum: true, segmentBytes: SEGMENT_BYTES } : NO_OFFLOADS
    this.headerBytes = header ? VIRTIO_NET_HEADER : 0
    const linkHeader = this.medium === 'ethernet' ? ETHERNET_HEADER : 0
    this.headroom = this.medium === 'ethernet' ? RECEIVE_HEADROOM : RECEIVE_HEADROOM - 2
    this.frameLimit = mtu + linkHeader + (linkHeader === 0 ? 0 : VLAN_TAG)
    this.large = offloaded || this.headroom + this.frameLimit > SMALL_PAGE
    this.vectorsAddress = libc.addressOf(this.vectors)
    this.slab = this.scratch
    this.slabAddress = libc.addressOf(this.scratch)
    this.readiness = watchReadable(libc, fd, () => this.onReadable?.(), options.readiness)
  }

  drain(budget: number): number {
    if (this.closed || this.failed) return 0
    const count = this.large ? this.drainLarge(budget) : this.drainSmall(budget)
    if (count > 0) this.readiness.found()
    return count
  }

  arm(): void {
    if (!this.closed && !this.failed) this.readiness.arm()
  }

  transmit(packet: Packet): boolean {
    const result = this.closed || this.failed ? -EIO : this.writeOut(packet)
    packet.release()
    if (result > 0) return true
    this.countRefusal(-result)
    return false
  }

  deadline(): Micros {
    return NEVER
  }

  poll(): void {}

  close(): void {
    if (this.closed) return
    this.closed = true
    this.readiness.close()
    closeSync(this.fd)
  }

  /** Frames that fit into a small page are read where they stay. */
  private drainSmall(budget: number): number {
    let count = 0
    let page = this.pool.take(SMALL_PAGE)
    while (count < budget) {
      const length = page === null ? this.readAway() : this.readInto(page)
      if (length <= 0) break
      count++
      if (page === null) this.counters.drops.noBuffer++
      else {
        const taken = page
        page = this.pool.take(SMALL_PAGE)
        this.deliver(taken, length)
        if (this.closed || this.failed) break
      }
    }
    page?.release()
    return count
  }

  /** Frames are read into one large page: small ones are copied out of it, a large one keeps it. */
  private drainLarge(budget: number): number {
    let count = 0
    let large = this.pool.take(LARGE_PAGE)
    while (count < budget) {
      const length = large === null ? this.readAway() : this.readInto(large)
      if (length <= 0) break
      count++
      if (large === null) {
        this.counters.drops.noBuffer++
        large = this.pool.take(LARGE_PAGE)
        continue
      }
      if (this.headroom + length > SMALL_PAGE) {
        const taken = large
        large = this.pool.take(LARGE_PAGE)
        this.deliver(taken, length)
      } else {
        const small = this.pool.take(SMALL_PAGE)
        if (small === null) this.counters.drops.noBuffer++
        else {
          const from = this.headroom - this.headerBytes
          large.copyTo(from, length + this.headerBytes, small.bytes, from)
          this.deliver(small, length)
        }
      }
      if (this.closed || this.failed) break
    }
    large?.release()
    return count
  }

  /** The length of the frame that was read behind the page's headroom; 0: there is none. */
  private readInto(page: Page): number {
    const at = this.headroom - this.headerBytes
    return this.settleRead(this.libc.read(this.fd, this.addressOf(page) + at, page.size - at))
  }

  private readAway(): number {
    return this.settleRead(this.libc.read(this.fd, this.libc.addressOf(this.scratch), LARGE_PAGE))
  }

  private settleRead(result: number): number {
    if (result > this.headerBytes) return result - this.headerBytes
    if (result < 0 && result !== -EAGAIN && result !== -EINTR) this.fail(-result)
    return 0
  }

  private deliver(page: Page, length: number): void {
    const packet = new Packet(page, this.headroom, this.headroom + length)
    if (this.headerBytes > 0) {
      const drop = readVirtioNetHeader(page.view, this.headroom - this.headerBytes, packet)
      if (drop !== undefined) {
        this.counters.drops[drop]++
        packet.release()
        return
      }
    }
    if (this.onReceive === null) packet.release()
    else this.onReceive(packet)
  }

  /** What write(2) says. */
  private writeOut(packet: Packet): number {
    if (packet.segmentBytes === 0 && packet.length > this.frameLimit) return -EINVAL
    const { page, data } = packet
    const header = this.headerBytes
    if (packet.fragmentBytes === 0 && (header === 0 || (data >= header && page.references === 1))) {
      if (header > 0) writeVirtioNetHeader(page.view, data - header, packet)
      return this.libc.write(this.fd, this.addressOf(page) + data - header, packet.tail - data + header)
    }
    if (packet.fragments.length + 2 > MAX_VECTORS) return this.writeGathered(packet)
    return this.writeVectors(packet)
  }

  private writeVectors(packet: Packet): number {
    let count = 0
    if (this.headerBytes > 0) {
      const at = IOVEC_BYTES * MAX_VECTORS
      writeVirtioNetHeader(this.vectorView, at, packet)
      this.setVector(count++, this.vectorsAddress + at, VIRTIO_NET_HEADER)
    }
    if (packet.headLength > 0) this.setVector(count++, this.addressOf(packet.page) + packet.data, packet.headLength)
    for (const fragment of packet.fragments)
      this.setVector(count++, this.addressOf(fragment.page) + fragment.offset, fragment.length)
    return this.libc.writev(this.fd, this.vectorsAddress, count)
  }

  private writeGathered(packet: Packet): number {
    const length = packet.length
    if (length + this.headerBytes > LARGE_PAGE) return -EINVAL
    if (this.headerBytes > 0) {
      const at = IOVEC_BYTES * MAX_VECTORS
      writeVirtioNetHeader(this.vectorView, at, packet)
      for (let index = 0; index < VIRTIO_NET_HEADER; index++)
        this.scratchBytes[index] = this.vectorView.getUint8(at + index)
    }
    packet.copyTo(0, length, this.scratchBytes, this.headerBytes)
    return this.libc.write(this.fd, this.libc.addressOf(this.scratch), length + this.headerBytes)
  }

  private setVector(index: number, address: number, length: number): void {
    const at = index * IOVEC_BYTES
    this.vectorView.setUint32(at, address % 0x1_0000_0000, true)
    this.vectorView.setUint32(at + 4, Math.floor(address / 0x1_0000_0000), true)
    this.vectorView.setUint32(at + 8, length, true)
  }

  /** Pages of one slab come one after the other: the last slab's address is remembered. */
  private addressOf(page: Page): number {
    const slab = page.bytes.buffer
    if (slab !== this.slab) {
      this.slab = slab
      this.slabAddress = this.libc.addressOf(slab)
    }
    return this.slabAddress + page.bytes.byteOffset
  }

  private countRefusal(errno: number): void {
    const { drops } = this.counters
    if (errno === EAGAIN || errno === ENOBUFS || errno === ENOMEM || errno === EINTR) drops.deviceFull++
    // The interface exists and is administratively down.
    else if (errno === EIO) drops.deviceDown++
    else if (errno === EINVAL) drops.deviceRefused++
    else {
      drops.deviceDown++
      this.fail(errno)
    }
  }

  /** Reports from the event loop, as the stack may be in the middle of a batch. */
  private fail(errno: number): void {
    if (this.failed) return
    this.failed = true
    const error = new EnvironmentError(
      `the device ${this.name}`,
      `it is gone: somebody deleted it, or gave it to another process (${errno === EBADFD ? 'EBADFD' : `errno ${errno}`})`,
      `ip tuntap add dev ${this.name} mode ${this.medium === 'ethernet' ? 'tap' : 'tun'}, and start again`,
    )
    setImmediate(() => {
      if (!this.closed) this.onFailure?.(error)
    })
  }
}
