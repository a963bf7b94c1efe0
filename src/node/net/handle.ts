// What a Socket needs of whatever carries its bytes: a TCP connection of our stack (tcp-handle.ts), or a socket of the
// system (system-handle.ts). After libuv's handles: they read while told to, take one write at a time, and call back
// from the event loop, each call in a turn of its own, never from within a call to them.

import { AsyncResource } from 'node:async_hooks'
import { Batch } from '../batch.ts'
import type { Hold, KeepAlive } from '../keep-alive.ts'

/** Who holds the handle. Not called any more once the handle is closed. */
export interface HandleOwner {
  /** Where to put what is read; null: into memory of the handle's choice. */
  readTarget(): Uint8Array | null
  /** `count` bytes, in `chunk` or in the read target. */
  onHandleData(count: number, chunk: Buffer | null): void
  onHandleEnd(): void
  /** Reading failed, with a code of errno(3). */
  onHandleError(code: string): void
  /** A write that was 'pending' is done; null: well. */
  onHandleWritten(code: string | null): void
  /** The host went away, by the program's own wish. */
  onHandleGone(): void
}

/** null: done; 'pending': onHandleWritten follows; else a code of errno(3). */
export type WriteOutcome = string | null

export interface Endpoint {
  address: string
  family: 'IPv4' | 'IPv6'
  port: number
}

export interface StreamHandle {
  owner: HandleOwner | null
  readonly reading: boolean
  readonly bytesRead: number
  readonly bytesWritten: number
  /** Bytes that a pending write still has to give away. */
  readonly writeQueueSize: number
  readStart(): void
  readStop(): void
  write(chunks: readonly Uint8Array[]): WriteOutcome
  /** No more will be written; `done` when that is on its way. */
  shutdown(done: () => void): void
  close(done?: () => void): void
  /** Closes by RST. */
  reset(done: () => void): void
  setNoDelay(enable: boolean): void
  /** `delay` in seconds; 0: the default. */
  setKeepAlive(enable: boolean, delay: number): void
  getTypeOfService(): number
  setTypeOfService(value: number): void
  getsockname(): Endpoint | null
  getpeername(): Endpoint | null
  ref(): void
  unref(): void
  hasRef(): boolean
  getAsyncId(): number
}

let made = false

/** Whether the process has sockets of ours at all. */
export const madeTurns = (): boolean => made

/** Calls that wait for their turn of the event loop, in all hosts of the process: src/node/settle.ts waits for them. */
export const waitingCalls = (): number => Batch.waiting + (isClosing ? 1 : 0)

/** The turns of one handle, and what keeps the process alive for it. */
export class Turns {
  private readonly resource: AsyncResource
  private readonly keepAlive: KeepAlive
  private share: Hold | null = null
  private refed = true
  /** It does something of itself: it listens or reads. */
  private active = false
  /** Calls that were made and not answered yet. They hold the process, ref'ed or not, as libuv's requests do. */
  private requests = 0

  constructor(keepAlive: KeepAlive, type: string) {
    made = true
    this.keepAlive = keepAlive
    this.resource = new AsyncResource(type, { requireManualDestroy: true })
  }

  get asyncId(): number {
    return this.resource.asyncId()
  }

  /**
   * Calls `step` on `self` in a turn of its own, in the asynchronous context in which the handle was made. The first that
   * a batch from the network leads to has the rest of the driver's turn, and needs no round of the event loop.
   */
  post<Self>(self: Self, step: (this: Self) => void): void {
    Batch.waiting++
    if (waitingCalls() === 1 && Batch.running) process.nextTick(runTurn, this.resource, self, step)
    else setImmediate(runTurn, this.resource, self, step)
  }

  /** Calls `step` on `self` before anything else happens, but not at once. */
  soon<Self>(self: Self, step: (this: Self) => void): void {
    process.nextTick(runSoon, this.resource, self, step)
  }

  /** The handle is closed, and `done` is told so after this round of the event loop. */
  close(done: (() => void) | undefined): void {
    this.active = false
    this.requests = 0
    this.update()
    const { resource } = this
    closings.push(() => {
      try {
        if (done !== undefined) resource.runInAsyncScope(done)
      } finally {
        resource.emitDestroy()
      }
    })
    scheduleClosings()
  }

  hasRef(): boolean {
    return this.refed
  }

  ref(on: boolean): void {
    this.refed = on
    this.update()
  }

  activate(on: boolean): void {
    this.active = on
    this.update()
  }

  request(change: 1 | -1): void {
    this.requests += change
    this.update()
  }

  private update(): void {
    if ((this.refed && this.active) || this.requests > 0) {
      this.share ??= this.keepAlive.hold()
      this.share.ref()
    } else this.share?.unref()
  }
}

function runSoon<Self>(resource: AsyncResource, self: Self, step: (this: Self) => void): void {
  resource.runInAsyncScope(step, self)
}

function runTurn<Self>(resource: AsyncResource, self: Self, step: (this: Self) => void): void {
  Batch.waiting--
  inTurn = true
  // Microtasks come after all ticks that the step leads to: those still are of this turn.
  queueMicrotask(endTurn)
  resource.runInAsyncScope(step, self)
}

let inTurn = false

function endTurn(): void {
  inTurn = false
  Batch.endTurn()
}

/** What is to be told of handles that are closed: at the end of a round of the event loop, the last one first, as in libuv. */
const closings: (() => void)[] = []
let isClosing = false

function scheduleClosings(): void {
  if (isClosing) return
  isClosing = true
  // Out of a turn, this round's turns are still to come.
  if (inTurn) setImmediate(runClosings)
  else setImmediate(setImmediate, runClosings)
}

function runClosings(): void {
  isClosing = false
  try {
    for (let closing = closings.pop(); closing !== undefined; closing = closings.pop()) closing()
  } finally {
    // One that threw must not keep the others.
    if (closings.length > 0) scheduleClosings()
  }
}

/** What a Server needs of whatever listens. */
export interface ListenHandle {
  onAccept: ((handle: StreamHandle) => void) | null
  /** The host went away. */
  onGone: (() => void) | null
  getsockname(): Endpoint | null
  close(): void
  ref(): void
  unref(): void
}
