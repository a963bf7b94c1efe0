// The bounded queue between a source that libuv reads (a socket, a stream, a pipe) and the driver, which takes frames when it
// is ready. Each device of that sort owns one.

import { Packet, RECEIVE_HEADROOM } from '../src/buf/packet.ts'
import { PacketQueue } from '../src/buf/packet-queue.ts'
import { LARGE_PAGE, type PagePool, SMALL_PAGE } from '../src/buf/page.ts'
import type { Counters } from '../src/counters.ts'

/** Frames that wait at most: four full batches of the driver. */
export const INBOX_FRAMES = 256
/** Page memory that waits at most: the large frames among them. */
export const INBOX_BYTES = 4 * 1_024 * 1_024

export interface InboxOptions {
  readonly pool: PagePool
  readonly counters: Counters
  readonly medium: 'ethernet' | 'ip'
}

export class FrameInbox {
  private readonly pool: PagePool
  private readonly counters: Counters
  private readonly headroom: number
  private readonly queue = new PacketQueue(INBOX_BYTES, INBOX_FRAMES)
  private armed = false
  private closed = false
  private readonly notify: () => void

  /** `notify` is called from the event loop, once for each arm(). */
  constructor(options: InboxOptions, notify: () => void) {
    this.pool = options.pool
    this.counters = options.counters
    this.headroom = options.medium === 'ethernet' ? RECEIVE_HEADROOM : RECEIVE_HEADROOM - 2
    this.notify = notify
  }

  get length(): number {
    return this.queue.length
  }

  /** No frame of ordinary size would be taken. */
  get full(): boolean {
    return this.queue.length >= INBOX_FRAMES || this.queue.chargedBytes + SMALL_PAGE > INBOX_BYTES
  }

  /** A packet that holds a copy of bytes [at, at + length), headers aligned; null, counted, where there is no room. */
  copyIn(bytes: Uint8Array, at: number, length: number): Packet | null {
    if (this.headroom + length > LARGE_PAGE) {
      this.counters.drops.frameTooLong++
      return null
    }
    if (this.full) {
      this.counters.drops.inputFull++
      return null
    }
    const packet = Packet.allocate(this.pool, length, this.headroom)
    if (packet === null) {
      this.counters.drops.noBuffer++
      return null
    }
    const to = packet.put(length)
    const whole = at === 0 && length === bytes.length
    packet.page.bytes.set(whole ? bytes : bytes.subarray(at, at + length), to)
    return packet
  }

  /** Queues the packet, or drops and counts it; wakes the driver where it waits. From the event loop only. */
  accept(packet: Packet): void {
    if (this.closed || !this.queue.push(packet)) {
      this.counters.drops.inputFull++
      packet.release()
      return
    }
    this.wake()
  }

  drain(budget: number, deliver: ((packet: Packet) => void) | null): number {
    let count = 0
    while (count < budget) {
      const packet = this.queue.shift()
      if (packet === null) break
      count++
      if (deliver === null) packet.release()
      else deliver(packet)
    }
    return count
  }

  arm(): void {
    if (this.armed || this.closed) return
    this.armed = true
    if (this.queue.length > 0) setImmediate(() => this.wake())
  }

  close(): void {
    this.closed = true
    this.queue.clear()
  }

  private wake(): void {
    if (!this.armed || this.closed) return
    this.armed = false
    this.notify()
  }
}
