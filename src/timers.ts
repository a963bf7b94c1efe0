// One lazy heap of deadlines per machine. An item's own deadline is a plain number field; the heap holds
// the item under an instant that is never later than that field. Moving a deadline later touches nothing:
// the stale entry surfaces, is found early, and goes back in. Moving it earlier costs one push.

import { assert } from './assert.ts'
import { type Micros, NEVER } from './time.ts'

/** Left-over entries that are kept, beside as many as there are items, before the heap is built anew. */
const LEFTOVERS = 64

export interface Timed {
  /** When the item wants attention; NEVER when it does not. */
  deadlineAt: Micros
  /** The earliest instant under which the heap holds the item; NEVER when it does not. Written by DeadlineHeap alone. */
  scheduledAt: Micros
}

export class DeadlineHeap<T extends Timed> {
  private items: T[] = []
  private instants: Micros[] = []
  /** Items held, each counted once. */
  private live = 0

  /** Entries held, stale ones included. */
  get size(): number {
    return this.items.length
  }

  /** Call after `item.deadlineAt` changed. */
  schedule(item: T): void {
    if (item.deadlineAt >= item.scheduledAt) return
    if (item.scheduledAt === NEVER) this.live++
    item.scheduledAt = item.deadlineAt
    if (this.items.length > 2 * this.live + LEFTOVERS) this.rebuild()
    this.push(item, item.deadlineAt)
  }

  /** No item is due before this instant. It may be early, never late. */
  next(): Micros {
    return this.instants.length === 0 ? NEVER : this.instants[0]!
  }

  /** Takes out one item whose deadline has come, or returns null. The caller sets a new deadline and schedules it again. */
  takeDue(now: Micros): T | null {
    while (this.instants.length > 0 && this.instants[0]! <= now) {
      const instant = this.instants[0]!
      const item = this.pop()
      // Held under an earlier instant as well, or taken already: this entry is a left-over.
      if (item.scheduledAt !== instant) continue
      item.scheduledAt = NEVER
      this.live--
      if (item.deadlineAt <= now) return item
      this.schedule(item)
    }
    return null
  }

  /** Throws the left-overs out: an item that is moved near again and again would leave one each time. */
  private rebuild(): void {
    const { items, instants } = this
    this.items = []
    this.instants = []
    for (let index = 0; index < items.length; index++) {
      if (items[index]!.scheduledAt === instants[index]!) this.push(items[index]!, instants[index]!)
    }
  }

  private push(item: T, instant: Micros): void {
    let hole = this.items.length
    this.items.push(item)
    this.instants.push(instant)
    while (hole > 0) {
      const parent = (hole - 1) >> 1
      if (this.instants[parent]! <= instant) break
      this.items[hole] = this.items[parent]!
      this.instants[hole] = this.instants[parent]!
      hole = parent
    }
    this.items[hole] = item
    this.instants[hole] = instant
  }

  private pop(): T {
    const top = this.items[0]!
    const item = this.items.pop()!
    const instant = this.instants.pop()!
    const length = this.items.length
    assert(length === this.instants.length)
    if (length === 0) return top
    let hole = 0
    for (;;) {
      let child = 2 * hole + 1
      if (child >= length) break
      if (child + 1 < length && this.instants[child + 1]! < this.instants[child]!) child++
      if (this.instants[child]! >= instant) break
      this.items[hole] = this.items[child]!
      this.instants[hole] = this.instants[child]!
      hole = child
    }
    this.items[hole] = item
    this.instants[hole] = instant
    return top
  }
}
