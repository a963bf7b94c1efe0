// Pages: the only memory that packets and queues hold. A pool cuts them from slabs once and reuses them,
// since a typed array costs V8 a hundred times what a small object does. One pool per stack, or one shared
// by the stacks of a world; its limit is what a flood cannot exceed.
//
//   slab: one ArrayBuffer, cut into pages of equal size
//   page: bytes, view and words look at the same memory, 4-byte aligned

import { assert } from '../assert.ts'

/** Holds one Ethernet frame of MTU 1,500 with headroom. */
export const SMALL_PAGE = 2_048
/** Holds one super-segment of 65,536 bytes with headroom and tailroom, and is a multiple of 4. */
export const LARGE_PAGE = 67_584
const SMALL_PAGES_PER_SLAB = 256
const LARGE_PAGES_PER_SLAB = 8
const DEFAULT_LIMIT_BYTES = 256 * 1_024 * 1_024
/** Up to here a loop beats a call of `set` (npm run bench -- buffers). */
export const LOOP_COPY_BYTES = 32

export class Page {
  readonly pool: PagePool
  readonly size: number
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly view: DataView
  /** The same memory as host-order words, for the checksum. */
  readonly words: Uint32Array<ArrayBuffer>
  /** Packets, fragments and queues that hold this page. 0: it lies in the pool. */
  references = 0
  /** Where the page was taken, when the pool traces; else ''. */
  takenAt = ''
  next: Page | null = null
  private lastWindow: Uint8Array<ArrayBuffer>
  private lastAt = 0
  private lastLength: number
  private olderWindow: Uint8Array<ArrayBuffer>
  private olderAt = 0
  private olderLength: number

  constructor(pool: PagePool, slab: ArrayBuffer, offset: number, size: number) {
    this.pool = pool
    this.size = size
    this.bytes = new Uint8Array(slab, offset, size)
    this.view = new DataView(slab, offset, size)
    this.words = new Uint32Array(slab, offset, size >>> 2)
    this.lastWindow = this.bytes
    this.lastLength = size
    this.olderWindow = this.bytes
    this.olderLength = size
  }

  /**
   * A view of bytes [at, at + length). The last two are kept: traffic of one kind, or of full and small packets in turn,
   * asks the same pages for the same windows again and again, so that in the steady state no packet costs a view
   * (npm run bench -- memory).
   */
  window(at: number, length: number): Uint8Array<ArrayBuffer> {
    if (at === this.lastAt && length === this.lastLength) return this.lastWindow
    const known = at === this.olderAt && length === this.olderLength
    const wanted = known ? this.olderWindow : this.bytes.subarray(at, at + length)
    this.olderWindow = this.lastWindow
    this.olderAt = this.lastAt
    this.olderLength = this.lastLength
    this.lastWindow = wanted
    this.lastAt = at
    this.lastLength = length
    return wanted
  }

  /** Copies bytes [at, at + length) to `target`. */
  copyTo(at: number, length: number, target: Uint8Array, targetAt: number): void {
    if (length > LOOP_COPY_BYTES) target.set(this.window(at, length), targetAt)
    else for (let index = 0; index < length; index++) target[targetAt + index] = this.bytes[at + index]!
  }

  retain(): void {
    assert(this.references > 0, 'a page in the pool was retained')
    this.references++
  }

  release(): void {
    assert(this.references > 0, 'a page was released twice')
    if (--this.references === 0) this.pool.putBack(this)
  }
}

export interface PagePoolOptions {
  /** Bytes of page memory that may be in use at once; what does not fit is a counted failure. Default 256 MiB. */
  limitBytes?: number
  /** Remember where each page was taken, for leakReport(). Slow: for tests. */
  trace?: boolean
}

export class PagePool {
  readonly limitBytes: number
  readonly trace: boolean
  /** Pages out of the pool; 0 when nothing is held anywhere. */
  inUse = 0
  /** Bytes of the pages out of the pool. */
  inUseBytes = 0
  /** The most bytes that were ever out at once. */
  peakBytes = 0
  /** Requests refused because the limit was reached. */
  failures = 0
  /** Bytes of slab memory ever cut; slabs are kept. */
  slabBytes = 0
  private freeSmall: Page | null = null
  private freeLarge: Page | null = null
  private readonly traced = new Set<Page>()

  constructor(options: PagePoolOptions = {}) {
    this.limitBytes = options.limitBytes ?? DEFAULT_LIMIT_BYTES
    assert(this.limitBytes >= 0, 'limitBytes is no size')
    this.trace = options.trace ?? false
  }

  /** A page of at least `bytes` bytes, or null where the pool is at its limit. `bytes` is at most LARGE_PAGE. */
  take(bytes: number): Page | null {
    assert(bytes <= LARGE_PAGE, 'larger than the largest page')
    const small = bytes <= SMALL_PAGE
    const size = small ? SMALL_PAGE : LARGE_PAGE
    if (this.inUseBytes + size > this.limitBytes) {
      this.failures++
      return null
    }
    let page = small ? this.freeSmall : this.freeLarge
    if (page === null) {
      this.cutSlab(size)
      page = (small ? this.freeSmall : this.freeLarge)!
    }
    if (small) this.freeSmall = page.next
    else this.freeLarge = page.next
    page.next = null
    page.references = 1
    this.inUse++
    this.inUseBytes += size
    if (this.inUseBytes > this.peakBytes) this.peakBytes = this.inUseBytes
    if (this.trace) this.remember(page)
    return page
  }

  /** Called by Page.release when the last reference goes. */
  putBack(page: Page): void {
    assert(page.references === 0 && page.next === null)
    this.inUse--
    this.inUseBytes -= page.size
    if (this.trace) this.traced.delete(page)
    if (page.size === SMALL_PAGE) {
      page.next = this.freeSmall
      this.freeSmall = page
    } else {
      page.next = this.freeLarge
      this.freeLarge = page
    }
  }

  /** One line per page in use, with the place that took it where the pool traces; '' when nothing is in use. */
  leakReport(): string {
    if (this.inUse === 0) return ''
    const lines = [`${this.inUse} pages (${this.inUseBytes} bytes) in use`]
    for (const page of this.traced)
      lines.push(`  ${page.size} bytes, ${page.references} references, taken ${page.takenAt}`)
    if (!this.trace) lines.push('  (make the pool with { trace: true } to see where they were taken)')
    return lines.join('\n')
  }

  private cutSlab(size: number): void {
    const count = size === SMALL_PAGE ? SMALL_PAGES_PER_SLAB : LARGE_PAGES_PER_SLAB
    const slab = new ArrayBuffer(size * count)
    this.slabBytes += slab.byteLength
    for (let index = count - 1; index >= 0; index--) {
      const page = new Page(this, slab, index * size, size)
      if (size === SMALL_PAGE) {
        page.next = this.freeSmall
        this.freeSmall = page
      } else {
        page.next = this.freeLarge
        this.freeLarge = page
      }
    }
  }

  private remember(page: Page): void {
    const stack = new Error('taken').stack ?? ''
    page.takenAt = stack
      .split('\n')
      .slice(3, 8)
      .map((line) => line.trim())
      .join(' ')
    this.traced.add(page)
  }
}

/** Copies bytes [fromAt, fromAt + length) of a user's array into a page; a whole array costs no view. */
export function copyInto(target: Uint8Array, at: number, from: Uint8Array, fromAt: number, length: number): void {
  if (fromAt === 0 && length === from.length) target.set(from, at)
  else if (length > LOOP_COPY_BYTES) target.set(from.subarray(fromAt, fromAt + length), at)
  else for (let index = 0; index < length; index++) target[at + index] = from[fromAt + index]!
}
