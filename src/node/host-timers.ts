// Timers by a host's own clock, for the modules that stand in for Node's: in a world they wait virtual time, on a real
// host the driver's one timer serves them. What is due runs from the event loop, as Node's timers do: a callback
// that throws tears no batch, and one that sets the next at once starves nobody.

import { after, IMMEDIATELY, type Machine, type Micros, millis, NEVER } from '../time.ts'
import { DeadlineHeap, type Timed } from '../timers.ts'

/** A timer that was set. */
export interface HostTimer extends Timed {
  call: () => void
  length: Micros
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
      fresh: false,
      deadlineAt: NEVER,
      scheduledAt: NEVER,
    }
    this.refresh(timer)
    return timer
  }

  /**
   * Sets a timer once more, also one that ran or was cancelled. A server sets and cancels that of a connection with each
   * request: it keeps its one place in the heap, where a new timer each time would wait there until its hour.
   */
  reset(timer: HostTimer, milliseconds: number, call: () => void): void {
    timer.call = call
    timer.length = millis(milliseconds)
    timer.cancelled = false
    this.refresh(timer)
  }

  /** Begins the wait of a timer anew, be it over or not. Cheap: called for every read and write of a socket. */
  refresh(timer: HostTimer): void {
    if (timer.cancelled || timer.fresh) return
    timer.fresh = true
    this.fresh.push(timer)
    this.onWork()
  }

  /** Whether it ran or not: it will not run any more, unless it is set once more. */
  cancel(timer: HostTimer): void {
    timer.cancelled = true
    timer.deadlineAt = NEVER
  }

  deadline(): Micros {
    return this.fresh.length > 0 ? IMMEDIATELY : this.heap.next()
  }

  poll(now: Micros): void {
    const { fresh } = this
    for (let index = 0; index < fresh.length; index++) {
      const timer = fresh[index]!
      timer.fresh = false
      if (timer.cancelled) continue
      timer.deadlineAt = after(now, timer.length)
      this.heap.schedule(timer)
    }
    fresh.length = 0
    for (let due = this.heap.takeDue(now); due !== null; due = this.heap.takeDue(now)) {
      due.deadlineAt = NEVER
      setImmediate(run, due)
    }
  }
}

/** Set anew in between, it waits again. */
function run(timer: HostTimer): void {
  if (!timer.cancelled && !timer.fresh && timer.deadlineAt === NEVER) timer.call()
}
