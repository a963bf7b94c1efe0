// A descriptor on which one read is one frame and one write another, used with plain Node: macvtap (macvtap.ts) and an
// inherited TAP (inherited-fd.ts). Two ways of reading, best first:
//
//   pipe    libuv reads it as a pipe, into one buffer that is used again; one frame in each turn of the loop
//   polled  fs.readSync on the non-blocking descriptor, asked by the driver and by a timer
//
// fs.read would block a thread of libuv's pool in the kernel, for ever: four of them and no file can be read.

import { closeSync, readSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Packet } from '../src/buf/packet.ts'
import { LARGE_PAGE, type PagePool } from '../src/buf/page.ts'
import type { Counters, Drop } from '../src/counters.ts'
import { EnvironmentError } from '../src/errors.ts'
import { NO_OFFLOADS, type Offloads } from '../src/link/device.ts'
import type { EdgeDevice } from '../src/link/edge-device.ts'
import { type Micros, NEVER } from '../src/time.ts'
import { ETHERNET_HEADER, type MacAddress, VLAN_TAG } from '../src/wire/ethernet.ts'
import { FrameInbox } from './frame-inbox.ts'
import { adoptDescriptor } from './pipe-handle.ts'
import { PollTimer } from './poll-timer.ts'
import { readVirtioNetHeader, VIRTIO_NET_HEADER, writeVirtioNetHeader } from './virtio-net-header.ts'

export interface FrameFileOptions {
  readonly name: string
  /** Open and non-blocking; the device closes it. */
  readonly fd: number
  readonly medium: 'ethernet' | 'ip'
  readonly mtu: number
  readonly macAddress: MacAddress | null
  /** Each frame has a virtio-net header before it. */
  readonly header: boolean
  /** Super-segments and partial checksums may be written. */
  readonly offload: boolean
  readonly pool: PagePool
  readonly counters: Counters
  /** Default: pipe where Node still has that door. */
  readonly reading?: 'pipe' | 'polled'
  /** What to do when the device went away. */
  readonly mend: string
  /** Looked at now and then, for devices whose descriptor does not tell that they went away. */
  readonly stillThere?: () => boolean
}

const LOOK_AFTER_MILLIS = 1_000

const SEGMENT_BYTES = 65_535
/** What a TAP says that was deleted; libuv has no name for it. */
const EBADFD = 'Unknown system error -77'

export class FrameFile implements EdgeDevice {
  readonly name: string
  readonly medium: 'ethernet' | 'ip'
  readonly mtu: number
  readonly offloads: Offloads
  readonly macAddress: MacAddress | null
  readonly reading: 'pipe' | 'polled'
  /** Super-segments and partial checksums that came in: the far side has offloads on. */
  offloadedFrames = 0
  onReceive: ((packet: Packet) => void) | null = null
  onReadable: (() => void) | null = null
  onFailure: ((error: Error) => void) | null = null

  private readonly fd: number
  private readonly counters: Counters
  private readonly mend: string
  private readonly headerBytes: number
  private readonly frameLimit: number
  private readonly inbox: FrameInbox
  private readonly buffer = Buffer.from(new ArrayBuffer(LARGE_PAGE))
  private readonly scratch = Buffer.from(new ArrayBuffer(LARGE_PAGE))
  private readonly scratchView = new DataView(this.scratch.buffer)
  private readonly inputView = new DataView(this.buffer.buffer)
  /** pipe: it owns the descriptor. */
  private readonly socket: Socket | null
  private readonly timer: PollTimer
  private readonly lookAfter: NodeJS.Timeout | null
  private closed = false
  private failed = false
  private paused = false
  private warned = false
  private readonly offloadWanted: boolean

  constructor(options: FrameFileOptions) {
    this.name = options.name
    this.fd = options.fd
    this.medium = options.medium
    this.mtu = options.mtu
    this.macAddress = options.macAddress
    this.counters = options.counters
    this.mend = options.mend
    this.offloadWanted = options.offload
    this.headerBytes = options.header ? VIRTIO_NET_HEADER : 0
    this.offloads = options.header && options.offload ? { checksum: true, segmentBytes: SEGMENT_BYTES } : NO_OFFLOADS
    this.frameLimit = options.mtu + (options.medium === 'ethernet' ? ETHERNET_HEADER + VLAN_TAG : 0)
    this.inbox = new FrameInbox(options, () => this.onReadable?.())
    this.timer = new PollTimer(() => this.onReadable?.())
    const handle = options.reading === 'polled' ? null : adoptDescriptor(options.fd)
    this.socket = handle === null ? null : this.readThroughPipe(handle)
    this.reading = handle === null ? 'polled' : 'pipe'
    this.lookAfter = options.stillThere === undefined ? null : this.watch(options.stillThere)
  }

  drain(budget: number): number {
    if (this.closed) return 0
    if (this.socket === null && !this.failed) this.readWaiting(budget)
    const count = this.inbox.drain(budget, this.onReceive)
    if (count > 0) this.timer.found()
    if (this.paused && !this.inbox.full && !this.closed) {
      this.paused = false
      this.socket?.resume()
    }
    return count
  }

  arm(): void {
    if (this.closed || this.failed) return
    if (this.socket === null) this.timer.arm()
    else this.inbox.arm()
  }

  transmit(packet: Packet): boolean {
    const drop = this.closed || this.failed ? 'deviceDown' : this.write(packet)
    packet.release()
    if (drop === undefined) return true
    this.counters.drops[drop]++
    return false
  }

  deadline(): Micros {
    return NEVER
  }

  poll(): void {}

  close(): void {
    if (this.closed) return
    this.closed = true
    this.inbox.close()
    this.timer.close()
    if (this.lookAfter !== null) clearInterval(this.lookAfter)
    if (this.socket === null) closeSync(this.fd)
    else this.socket.destroy()
  }

  private watch(stillThere: () => boolean): NodeJS.Timeout {
    const timer = setInterval(() => {
      if (!stillThere()) this.fail('the interface was deleted')
    }, LOOK_AFTER_MILLIS)
    return timer.unref()
  }

  private readThroughPipe(handle: object): Socket {
    const options = {
      handle,
      readable: true,
      writable: false,
      onread: {
        buffer: this.buffer,
        callback: (length: number): boolean => {
          this.takeFrame(length)
          this.paused = this.inbox.full
          return !this.paused
        },
      },
    }
    const socket = new Socket(options)
    socket.unref()
    socket.on('error', (error: NodeJS.ErrnoException) => this.fail(error.code ?? error.message))
    socket.on('end', () => this.fail('end of file'))
    socket.resume()
    return socket
  }

  private readWaiting(budget: number): void {
    for (let count = 0; count < budget && !this.inbox.full; count++) {
      try {
        this.takeFrame(readSync(this.fd, this.buffer, 0, LARGE_PAGE, null))
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code ?? String(error)
        if (code !== 'EAGAIN') this.fail(code)
        return
      }
    }
  }

  /** The buffer holds one frame of `length` bytes, header and all. */
  private takeFrame(length: number): void {
    const header = this.headerBytes
    const { drops } = this.counters
    if (length <= header) {
      drops.frameTooShort++
      return
    }
    // Without the header nothing says how to cut it, and its checksum is half done.
    if (header === 0 && length > this.frameLimit) {
      drops.frameTooLong++
      this.warnOfOffloads()
      return
    }
    const packet = this.inbox.copyIn(this.buffer, header, length - header)
    if (packet === null) return
    if (header > 0) {
      const drop = readVirtioNetHeader(this.inputView, 0, packet)
      if (drop !== undefined) {
        drops[drop]++
        packet.release()
        return
      }
      if (packet.checksum === 'partial' || packet.segmentBytes > 0) {
        this.offloadedFrames++
        if (!this.offloadWanted) this.warnOfOffloads()
      }
    }
    this.inbox.accept(packet)
  }

  /** They cannot be switched off from this side. What arrives with a header is taken all the same. */
  private warnOfOffloads(): void {
    if (this.warned) return
    this.warned = true
    const warning = new EnvironmentError(
      `the device ${this.name}`,
      'the other side sends super-segments or leaves checksums to be completed, though offloads were not wanted',
      'ethtool -K PEER tx off tso off gso off, PEER being the interface at the other end',
    )
    process.emitWarning(warning.message, 'HourglassWarning')
  }

  private write(packet: Packet): Drop | undefined {
    const header = this.headerBytes
    const length = packet.length
    if (length + header > LARGE_PAGE) return 'deviceRefused'
    if (packet.segmentBytes === 0 && length > this.frameLimit) return 'deviceRefused'
    try {
      if (packet.fragmentBytes === 0 && (header === 0 || (packet.data >= header && packet.page.references === 1))) {
        if (header > 0) writeVirtioNetHeader(packet.page.view, packet.data - header, packet)
        writeSync(this.fd, packet.page.bytes, packet.data - header, length + header)
      } else {
        if (header > 0) writeVirtioNetHeader(this.scratchView, 0, packet)
        packet.copyTo(0, length, this.scratch, header)
        writeSync(this.fd, this.scratch, 0, length + header)
      }
      return undefined
    } catch (error) {
      return this.refusal((error as NodeJS.ErrnoException).code ?? String(error))
    }
  }

  private refusal(code: string): Drop {
    switch (code) {
      case 'EAGAIN':
      case 'ENOBUFS':
      case 'ENOMEM':
      case 'EINTR':
        return 'deviceFull'
      case 'EIO':
      case 'ENETDOWN':
        return 'deviceDown'
      case 'EINVAL':
      case 'EMSGSIZE':
        return 'deviceRefused'
      default:
        this.fail(code)
        return 'deviceDown'
    }
  }

  /** Reports from the event loop, as the stack may be in the middle of a batch. */
  private fail(code: string): void {
    if (this.failed || this.closed) return
    this.failed = true
    const name = code === EBADFD ? 'EBADFD' : code
    const error = new EnvironmentError(`the device ${this.name}`, `it is gone (${name})`, this.mend)
    setImmediate(() => {
      if (!this.closed) this.onFailure?.(error)
    })
  }
}
