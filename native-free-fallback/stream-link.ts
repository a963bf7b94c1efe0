// Frames over a stream, as QEMU's `-netdev stream` and passt(1) speak it: a 4-byte big-endian length before each frame.
// open-link.ts connects the socket, or waits for QEMU to connect.

import { createServer, Socket } from 'node:net'
import type { Packet } from '../src/buf/packet.ts'
import type { PagePool } from '../src/buf/page.ts'
import type { Counters } from '../src/counters.ts'
import { EnvironmentError } from '../src/errors.ts'
import { NO_OFFLOADS } from '../src/link/device.ts'
import type { EdgeDevice } from '../src/link/edge-device.ts'
import { type Micros, NEVER } from '../src/time.ts'
import { ETHERNET_HEADER, VLAN_TAG } from '../src/wire/ethernet.ts'
import { FrameInbox } from './frame-inbox.ts'

export const LENGTH_PREFIX = 4
/** QEMU's NET_BUFSIZE: a longer length is no frame, and what follows cannot be told apart any more. */
export const LONGEST_FRAME = 4_096 + 65_536
const DEFAULT_MTU = 1_500
/** Bytes handed to libuv and not yet taken by the peer; more is a full device. */
const SEND_QUEUE_BYTES = 1 << 20

/**
 * Cuts a stream into frames. It keeps at most one frame's beginning. `take` gets the frame as bytes [at, at + length) of a
 * chunk, valid during the call.
 */
export class FrameCutter {
  private readonly take: (bytes: Uint8Array, at: number, length: number) => void
  private readonly pending = new Uint8Array(LENGTH_PREFIX + LONGEST_FRAME)
  private held = 0

  constructor(take: (bytes: Uint8Array, at: number, length: number) => void) {
    this.take = take
  }

  /** False where a length cannot be one: the stream is lost. */
  push(chunk: Uint8Array): boolean {
    let at = 0
    while (at < chunk.length) {
      if (this.held === 0) {
        const taken = this.takeWhole(chunk, at)
        if (taken < 0) return false
        at += taken
        if (taken > 0) continue
      }
      const wanted = this.held < LENGTH_PREFIX ? LENGTH_PREFIX : LENGTH_PREFIX + lengthAt(this.pending, 0)
      const run = Math.min(wanted - this.held, chunk.length - at)
      this.pending.set(chunk.subarray(at, at + run), this.held)
      this.held += run
      at += run
      if (this.held < LENGTH_PREFIX) continue
      const length = lengthAt(this.pending, 0)
      if (length > LONGEST_FRAME) return false
      if (this.held < LENGTH_PREFIX + length) continue
      this.held = 0
      this.take(this.pending, LENGTH_PREFIX, length)
    }
    return true
  }

  /** The bytes of a frame that lies whole in the chunk, 0 where it does not, -1 where its length cannot be one. */
  private takeWhole(chunk: Uint8Array, at: number): number {
    if (chunk.length - at < LENGTH_PREFIX) return 0
    const length = lengthAt(chunk, at)
    if (length > LONGEST_FRAME) return -1
    if (chunk.length - at < LENGTH_PREFIX + length) return 0
    this.take(chunk, at + LENGTH_PREFIX, length)
    return LENGTH_PREFIX + length
  }
}

const lengthAt = (bytes: Uint8Array, at: number): number =>
  bytes[at]! * 0x100_0000 + ((bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!)

export interface StreamLinkOptions {
  readonly name: string
  readonly pool: PagePool
  readonly counters: Counters
  readonly mtu?: number
  /** What to do when the other side went away. */
  readonly mend: string
}

export class StreamLink implements EdgeDevice {
  readonly name: string
  readonly medium = 'ethernet'
  readonly mtu: number
  readonly offloads = NO_OFFLOADS
  readonly macAddress = null
  onReceive: ((packet: Packet) => void) | null = null
  onReadable: (() => void) | null = null
  onFailure: ((error: Error) => void) | null = null

  private readonly socket: Socket
  private readonly counters: Counters
  private readonly mend: string
  private readonly inbox: FrameInbox
  private paused = false
  private closed = false
  private failed = false

  constructor(socket: Socket, options: StreamLinkOptions) {
    this.socket = socket
    this.name = options.name
    this.mtu = options.mtu ?? DEFAULT_MTU
    this.counters = options.counters
    this.mend = options.mend
    this.inbox = new FrameInbox({ ...options, medium: 'ethernet' }, () => this.onReadable?.())
    const cutter = new FrameCutter((bytes, at, length) => this.receive(bytes, at, length))
    socket.unref()
    socket.on('data', (chunk: Buffer) => {
      if (!cutter.push(chunk)) this.fail('it sent a length that no frame has')
      else if (this.inbox.full && !this.paused) {
        this.paused = true
        socket.pause()
      }
    })
    socket.on('error', (error) => this.fail(`the connection broke (${error.message})`))
    socket.on('close', () => this.fail('the other side closed the connection'))
  }

  drain(budget: number): number {
    const count = this.inbox.drain(budget, this.onReceive)
    if (this.paused && !this.inbox.full) {
      this.paused = false
      this.socket.resume()
    }
    return count
  }

  arm(): void {
    this.inbox.arm()
  }

  transmit(packet: Packet): boolean {
    const length = packet.length
    const { drops } = this.counters
    let refused: 'deviceDown' | 'deviceRefused' | 'deviceFull' | undefined
    if (this.closed || this.failed) refused = 'deviceDown'
    else if (length > this.mtu + ETHERNET_HEADER + VLAN_TAG) refused = 'deviceRefused'
    else if (this.socket.writableLength > SEND_QUEUE_BYTES) refused = 'deviceFull'
    if (refused !== undefined) {
      drops[refused]++
      packet.release()
      return false
    }
    const message = Buffer.allocUnsafe(LENGTH_PREFIX + length)
    message.writeUInt32BE(length, 0)
    packet.copyTo(0, length, message, LENGTH_PREFIX)
    packet.release()
    this.socket.write(message)
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
    this.socket.destroy()
  }

  private receive(bytes: Uint8Array, at: number, length: number): void {
    if (this.closed) return
    if (length < ETHERNET_HEADER) {
      this.counters.drops.frameTooShort++
      return
    }
    const packet = this.inbox.copyIn(bytes, at, length)
    if (packet !== null) this.inbox.accept(packet)
  }

  private fail(why: string): void {
    if (this.failed || this.closed) return
    this.failed = true
    this.socket.destroy()
    this.onFailure?.(new EnvironmentError(`the link ${this.name}`, why, this.mend))
  }
}

export type StreamTarget = { readonly path: string } | { readonly host: string; readonly port: number }

/** Connects to one who listens: passt, or QEMU with server=on. Rejects with the signal's reason where that comes first. */
export function connectStream(target: StreamTarget, what: string, mend: string, signal?: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = new Socket()
    const giveUp = (): void => {
      socket.destroy()
      reject(reasonOf(signal))
    }
    socket.once('error', (error: NodeJS.ErrnoException) => {
      signal?.removeEventListener('abort', giveUp)
      socket.destroy()
      reject(connectError(error, target, what, mend))
    })
    socket.connect(target, () => {
      signal?.removeEventListener('abort', giveUp)
      socket.removeAllListeners('error')
      socket.setNoDelay(true)
      resolve(socket)
    })
    if (signal?.aborted === true) giveUp()
    else signal?.addEventListener('abort', giveUp, { once: true })
  })
}

const reasonOf = (signal: AbortSignal | undefined): Error =>
  signal?.reason instanceof Error ? signal.reason : new Error('aborted')

/**
 * Listens, and takes the first who connects: QEMU with server=off. When the signal aborts it gives up: closing the
 * server takes the socket's file away.
 */
export function acceptStream(
  target: StreamTarget,
  what: string,
  onListening: () => void,
  signal?: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      signal?.removeEventListener('abort', giveUp)
      server.close()
      socket.setNoDelay(true)
      resolve(socket)
    })
    const giveUp = (): void => {
      server.close()
      reject(reasonOf(signal))
    }
    if (signal?.aborted === true) {
      giveUp()
      return
    }
    signal?.addEventListener('abort', giveUp, { once: true })
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new EnvironmentError(
          what,
          `it cannot be listened on (${error.code})`,
          'remove the stale socket, or choose another',
        ),
      ),
    )
    server.listen(target, onListening)
  })
}

const REASONS: Record<string, string> = {
  ENOENT: 'there is no such socket',
  ECONNREFUSED: 'nobody listens there',
  EACCES: 'its mode keeps this user out',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
  ETIMEDOUT: 'the host does not answer',
}

function connectError(error: NodeJS.ErrnoException, target: StreamTarget, what: string, mend: string): Error {
  if (error.code === 'ECONNREFUSED' && 'path' in target) {
    return new EnvironmentError(
      what,
      'nobody listens there any more, and the file was left behind',
      `rm ${target.path}`,
    )
  }
  return new EnvironmentError(what, REASONS[error.code ?? ''] ?? `it cannot be connected (${error.code})`, mend)
}
