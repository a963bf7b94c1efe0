// Timers by a host's own clock, for the modules that stand in for Node's: in a world they wait virtual time, on a real
// host the driver's one timer serves them. What is due runs from the event loop, as Node's timers do: a callback
// that throws tears no batch, and one that sets the next at once starves nobody.

import { after, IMMEDIATELY, type Machine, type Micros, millis, NEVER } from '../time.ts'
import { DeadlineHeap, type Timed } from '../timers.ts'

/** A timer that was set. */
export interface HostTimer extends Timed {
  readonly call: () => void
  readonly length: Micros
  cancelled: boolean
  /** The next poll counts its wait from then on. */
  fresh: boolean
}

export class HostTimers implements Machine {
  private readonly heap = new DeadlineHeap<HostTimer>()
  /** Set since the last poll: between batches the clock stands still, so they are counted from the next one. */
  private fresh: HostTimer[] = []
  private readonly onWork: () => void

  /** `onWork` is called when poll() should be called soon. */
  constructor(onWork: () => void) {
    this.onWork = onWork
  }

  /** Calls back after some milliseconds, once. */
  set(milliseconds: number, call: () => void): HostTimer {
    const timer: HostTimer = {
      call,
      length: millis(milliseconds),
      cancelled: false,
      fresh: true,
      deadlineAt: NEVER,
      scheduledAt: NEVER,
    }
    this.fresh.push(timer)
    this.onWork()
    return timer
  }

  /** Begins the wait of a timer anew, be it over or not. Cheap: called for every read and write of a socket. */
  refresh(timer: HostTimer): void {
    if (timer.cancelled || timer.fresh) return
    timer.fresh = true
    this.fresh.push(timer)
    this.onWork()
  }

  /** Whether it ran or not: it will not run any more. */
  cancel(timer: HostTimer): void {
    timer.cancelled = true
    timer.deadlineAt = NEVER
  }

  deadline(): Micros {
    return this.fresh.length > 0 ? IMMEDIATELY : this.heap.next()
  }

  poll(now: Micros): void {
    for (const timer of this.fresh.splice(0)) {
      timer.fresh = false
      if (timer.cancelled) continue
      timer.deadlineAt = after(now, timer.length)
      this.heap.schedule(timer)
    }
    for (let due = this.heap.takeDue(now); due !== null; due = this.heap.takeDue(now)) {
      due.deadlineAt = NEVER
      setImmediate(run, due)
    }
  }
}

function run(timer: HostTimer): void {
  if (!timer.cancelled && !timer.fresh) timer.call()
}
