// A stream of bytes over pages: append at the end (the one copy), lend any range to packets as fragments
// without copying, read or drop at the front. Positions are counted from the first byte still held.

import { assert } from '../assert.ts'
import type { Packet } from './packet.ts'
import { copyInto, LARGE_PAGE, type Page, type PagePool, SMALL_PAGE } from './page.ts'

/** From this many bytes on, an append takes a large page. */
const LARGE_APPEND = 16 * 1_024

interface Run {
  readonly page: Page
  start: number
  end: number
}

export class PageStream {
  /** Bytes held. */
  length = 0
  /** Bytes of the pages held: what limits charge. */
  chargedBytes = 0
  private readonly pool: PagePool
  private runs: Run[] = []
  private first = 0

  constructor(pool: PagePool) {
    this.pool = pool
  }

  /** Copies bytes in and returns how many: less than `length` only where the pool is empty. */
  append(from: Uint8Array, at: number, length: number): number {
    let done = 0
    while (done < length) {
      let run = this.runs.length > this.first ? this.runs[this.runs.length - 1]! : null
      if (run === null || run.end === run.page.size) {
        const page = this.pool.take(length - done >= LARGE_APPEND ? LARGE_PAGE : SMALL_PAGE)
        if (page === null) break
        run = { page, start: 0, end: 0 }
        this.runs.push(run)
        this.chargedBytes += page.size
      }
      const count = Math.min(length - done, run.page.size - run.end)
      copyInto(run.page.bytes, run.end, from, at + done, count)
      run.end += count
      done += count
    }
    this.length += done
    return done
  }

  /** Appends bytes [at, at + length) to the packet as fragments of these pages. */
  lend(packet: Packet, at: number, length: number): void {
    assert(at >= 0 && at + length <= this.length, 'a range outside the stream')
    let skip = at
    let left = length
    for (let index = this.first; left > 0; index++) {
      const run = this.runs[index]!
      const size = run.end - run.start
      if (skip >= size) {
        skip -= size
        continue
      }
      const count = Math.min(left, size - skip)
      packet.addFragment(run.page, run.start + skip, count)
      left -= count
      skip = 0
    }
  }

  /** Copies bytes [at, at + length) out. */
  copyTo(at: number, length: number, target: Uint8Array, targetAt: number): void {
    assert(at >= 0 && at + length <= this.length, 'a range outside the stream')
    let skip = at
    let done = 0
    for (let index = this.first; done < length; index++) {
      const run = this.runs[index]!
      const size = run.end - run.start
      if (skip >= size) {
        skip -= size
        continue
      }
      const count = Math.min(length - done, size - skip)
      run.page.copyTo(run.start + skip, count, target, targetAt + done)
      done += count
      skip = 0
    }
  }

  /** Copies up to target.length bytes from the front out, forgets them, and returns how many. */
  read(target: Uint8Array): number {
    const count = Math.min(target.length, this.length)
    this.copyTo(0, count, target, 0)
    this.drop(count)
    return count
  }

  /** Forgets n bytes at the front; pages that packets still hold live on until those are released. */
  drop(n: number): void {
    assert(n >= 0 && n <= this.length, 'drop of more than there is')
    this.length -= n
    let left = n
    while (left > 0) {
      const run = this.runs[this.first]!
      const size = run.end - run.start
      if (left < size) {
        run.start += left
        break
      }
      left -= size
      this.first++
      this.chargedBytes -= run.page.size
      run.page.release()
    }
    this.compact()
  }

  /** Forgets everything. */
  clear(): void {
    this.drop(this.length)
    assert(this.chargedBytes === 0, 'an empty stream holds pages')
  }

  private compact(): void {
    if (this.first === this.runs.length) {
      this.runs = []
      this.first = 0
    } else if (this.first > 64 && this.first * 2 > this.runs.length) {
      this.runs = this.runs.slice(this.first)
      this.first = 0
    }
  }
}
