// What the queues of all connections of a stack hold, in bytes of pages, against the stack's limits (Linux's tcp_mem).
// Queues add what they take and take away what they give back; window.ts, text.ts and open.ts ask before they let a
// connection have more.

import type { PagePool } from '../buf/page.ts'
import type { Counters } from '../counters.ts'
import { UsageError } from '../errors.ts'
import { millis } from '../time.ts'

/** Below the first all is well again; above the second nothing grows; above the third nothing is taken but the least. */
export type MemoryLimits = readonly [low: number, pressure: number, high: number]

/** Of the pool where no limits are given: Linux's proportions, and a quarter left for everybody else. */
const SHARES = [3 / 8, 1 / 2, 3 / 4] as const
/** The pool may be other stacks' as well: beyond this share of it, there is no memory for TCP, whoever has it. */
const POOL_SHARE = 3 / 4
/** When the pool was empty it is asked again after this: no ACK may come to wake the connection. */
export const MEMORY_RETRY = millis(10)

/** A buffer: what a connection may hold when memory is short, what it begins with and grows to (Linux's tcp_rmem, tcp_wmem). */
export type BufferLimits = readonly [least: number, first: number, most: number]

export class TcpMemory {
  readonly pool: PagePool
  readonly rmem: BufferLimits
  readonly wmem: BufferLimits
  /** Bytes of the pages that send and receive queues hold. */
  bytes = 0
  private readonly counters: Counters
  private readonly low: number
  private readonly pressure: number
  private readonly high: number
  private underPressure = false

  /** Throws UsageError for limits that do not rise. */
  constructor(
    pool: PagePool,
    counters: Counters,
    limits: { readonly mem: MemoryLimits | null; readonly rmem: BufferLimits; readonly wmem: BufferLimits },
  ) {
    this.pool = pool
    this.counters = counters
    this.rmem = limits.rmem
    this.wmem = limits.wmem
    const [low, pressure, high] = limits.mem ?? SHARES.map((share) => share * pool.limitBytes)
    if (!(low! >= 0 && low! <= pressure! && pressure! <= high!)) {
      throw new UsageError(
        `mem is ${low}, ${pressure}, ${high}: give three numbers of bytes, none less than the one before`,
      )
    }
    this.low = low!
    this.pressure = pressure!
    this.high = high!
  }

  /** A queue holds so many bytes more, or fewer. */
  add(bytes: number): void {
    this.bytes += bytes
    if (this.bytes < this.low) this.underPressure = false
    else if (this.bytes > this.pressure && !this.underPressure) {
      this.underPressure = true
      this.counters.TcpExtTCPMemoryPressures++
    }
  }

  /** No buffer and no window may grow. */
  get isPressed(): boolean {
    return this.underPressure || this.isFull
  }

  /** A connection gets no more than the least that it may always have. */
  get isFull(): boolean {
    return this.bytes > this.high || this.pool.inUseBytes > this.pool.limitBytes * POOL_SHARE
  }

  /** Bytes that may be taken until it is full. */
  get room(): number {
    return this.isFull ? 0 : this.high - this.bytes
  }
}
