// Entries that all live equally long, in the order in which they will die: the oldest is found, evicted and timed
// out first, and an entry that goes early leaves nothing behind. Reassembly and path-mtu.ts keep their tables in it.

import { assert } from '../assert.ts'
import { type Micros, NEVER } from '../time.ts'

/** What is in at most one list; the links are AgeList's alone. */
export interface Aged<T> {
  deadlineAt: Micros
  older: T | null
  newer: T | null
  listed: boolean
}

export class AgeList<T extends Aged<T>> {
  size = 0
  oldest: T | null = null
  private newest: T | null = null

  /** When the oldest dies; NEVER when there is none. */
  deadline(): Micros {
    return this.oldest === null ? NEVER : this.oldest.deadlineAt
  }

  /** Adds an entry that dies at `deadlineAt`, no earlier than any other. */
  add(item: T, deadlineAt: Micros): void {
    assert(!item.listed, 'an entry in two lists')
    assert(this.newest === null || this.newest.deadlineAt <= deadlineAt, 'an entry that dies before an older one')
    item.deadlineAt = deadlineAt
    item.listed = true
    item.older = this.newest
    if (this.newest === null) this.oldest = item
    else this.newest.newer = item
    this.newest = item
    this.size++
  }

  remove(item: T): void {
    if (!item.listed) return
    if (item.older === null) this.oldest = item.newer
    else item.older.newer = item.newer
    if (item.newer === null) this.newest = item.older
    else item.newer.older = item.older
    item.older = null
    item.newer = null
    item.listed = false
    this.size--
  }
}
