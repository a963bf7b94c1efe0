// How to learn that a descriptor is readable when libuv does not know its kind. Best first, one interface:
//
//   aio     The kernel's asynchronous poll (io_submit(2), IOCB_CMD_POLL) counts an eventfd up, and libuv watches that
//           eventfd as a pipe. No thread, no frame read by anyone but the device, and it can be unreferenced.
//   thread  poll(2) in a thread of libuv's pool, with an eventfd beside it to wake it. It takes one of the pool's four
//           threads, and holds the process open until it is closed.
//   timer   Ask again after a while: a millisecond where there was traffic, up to ten where there was none.
//
// Wrapping the TAP descriptor itself in a pipe would make libuv read the frames, into buffers of its own choice and
// one per turn of the loop: that is what the devices in native-free-fallback do, who have nothing better.

import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import { adoptDescriptor } from '../../native-free-fallback/pipe-handle.ts'
import { PollTimer } from '../../native-free-fallback/poll-timer.ts'
import type { Libc } from './libc.ts'

export type ReadinessKind = 'aio' | 'thread' | 'timer'

export interface Readiness {
  readonly kind: ReadinessKind
  /** Calls back once when the descriptor is readable or broken, from the event loop. A second call before that does nothing. */
  arm(): void
  /** Tells that there was something to read, for those who must guess when to look again. */
  found(): void
  /** After it there is no call back. Close the descriptor itself afterwards. */
  close(): void
}

/** The best way that works here, or the one asked for. */
export function watchReadable(libc: Libc, fd: number, onReadable: () => void, wanted?: ReadinessKind): Readiness {
  if (wanted === undefined || wanted === 'aio') {
    const aio = AioReadiness.open(libc, fd, onReadable)
    if (aio !== null) return aio
  }
  if (wanted !== 'timer') {
    const thread = ThreadReadiness.open(libc, fd, onReadable)
    if (thread !== null) return thread
  }
  return new TimerReadiness(onReadable)
}

const POLLIN = 1
const EFD_NONBLOCK = 0o4000
const EFD_CLOEXEC = 0o2000000

/** io_setup, io_destroy, io_getevents, io_submit: x86-64 has numbers of its own, newer architectures share theirs. */
const AIO_CALLS: Record<string, readonly [number, number, number, number]> = {
  x64: [206, 207, 208, 209],
  arm64: [0, 1, 4, 2],
  riscv64: [0, 1, 4, 2],
  loong64: [0, 1, 4, 2],
}
const IOCB_CMD_POLL = 5
const IOCB_FLAG_RESFD = 1
const MAX_EVENTS = 4

// One allocation: the context, the list of one iocb, the iocb (64 bytes), room for the events (32 bytes each).
const CONTEXT_AT = 0
const LIST_AT = 8
const IOCB_AT = 64
const EVENTS_AT = 128
const AIO_BYTES = EVENTS_AT + 32 * MAX_EVENTS

class AioReadiness implements Readiness {
  readonly kind = 'aio'
  private readonly libc: Libc
  private readonly calls: readonly [number, number, number, number]
  /** The kernel looks at it while a poll is pending: it must stay reachable. */
  private readonly memory: ArrayBuffer
  private readonly context: number
  private readonly socket: Socket
  private readonly onReadable: () => void
  private armed = false
  private closed = false
  private completed = 0

  static open(libc: Libc, fd: number, onReadable: () => void): AioReadiness | null {
    const calls = AIO_CALLS[process.arch]
    if (calls === undefined) return null
    const memory = new ArrayBuffer(AIO_BYTES)
    const address = libc.addressOf(memory)
    if (libc.syscall(calls[0], MAX_EVENTS, address + CONTEXT_AT, 0, 0, 0) < 0) return null
    const eventFd = libc.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
    const handle = eventFd < 0 ? null : adoptDescriptor(eventFd)
    const view = new DataView(memory)
    const context = Number(view.getBigUint64(CONTEXT_AT, true))
    if (handle === null) {
      if (eventFd >= 0) closeSync(eventFd)
      libc.syscall(calls[1], context, 0, 0, 0, 0)
      return null
    }
    view.setBigUint64(LIST_AT, BigInt(address + IOCB_AT), true)
    view.setUint16(IOCB_AT + 16, IOCB_CMD_POLL, true)
    view.setUint32(IOCB_AT + 20, fd, true)
    view.setBigUint64(IOCB_AT + 24, BigInt(POLLIN), true)
    view.setUint32(IOCB_AT + 56, IOCB_FLAG_RESFD, true)
    view.setUint32(IOCB_AT + 60, eventFd, true)
    return new AioReadiness(libc, calls, memory, context, handle, onReadable)
  }

  private constructor(
    libc: Libc,
    calls: readonly [number, number, number, number],
    memory: ArrayBuffer,
    context: number,
    handle: object,
    onReadable: () => void,
  ) {
    this.libc = libc
    this.calls = calls
    this.memory = memory
    this.context = context
    this.onReadable = onReadable
    const options = {
      handle,
      readable: true,
      writable: false,
      onread: { buffer: new Uint8Array(8), callback: (): boolean => this.signalled() },
    }
    this.socket = new Socket(options)
    this.socket.unref()
    this.socket.resume()
  }

  arm(): void {
    if (this.armed || this.closed) return
    this.armed = true
    const [, , getEvents, submit] = this.calls
    const address = this.libc.addressOf(this.memory)
    // The ring keeps a completion until it is fetched, and is short.
    if (this.completed > 0) this.libc.syscall(getEvents, this.context, 0, MAX_EVENTS, address + EVENTS_AT, 0)
    this.completed = 0
    const taken = this.libc.syscall(submit, this.context, 1, address + LIST_AT, 0, 0)
    // What cannot be watched is looked at: the read that follows says what is wrong with it.
    if (taken !== 1) setImmediate(() => this.signalled())
  }

  found(): void {}

  close(): void {
    if (this.closed) return
    this.closed = true
    // Cancels the poll and waits for it, so that nobody holds the descriptor afterwards.
    this.libc.syscall(this.calls[1], this.context, 0, 0, 0, 0)
    this.socket.destroy()
  }

  private signalled(): boolean {
    if (this.closed || !this.armed) return true
    this.completed++
    this.armed = false
    this.onReadable()
    return true
  }
}

const POLLFD_BYTES = 8

class ThreadReadiness implements Readiness {
  readonly kind = 'thread'
  private readonly libc: Libc
  private readonly memory = new ArrayBuffer(2 * POLLFD_BYTES + 16)
  private readonly wakeFd: number
  private readonly onReadable: () => void
  private readonly onExit = (): void => this.wakeThread()
  private waiting = false
  private closed = false

  static open(libc: Libc, fd: number, onReadable: () => void): ThreadReadiness | null {
    const wakeFd = libc.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
    return wakeFd < 0 ? null : new ThreadReadiness(libc, fd, wakeFd, onReadable)
  }

  private constructor(libc: Libc, fd: number, wakeFd: number, onReadable: () => void) {
    this.libc = libc
    this.wakeFd = wakeFd
    this.onReadable = onReadable
    const view = new DataView(this.memory)
    view.setInt32(0, fd, true)
    view.setInt16(4, POLLIN, true)
    view.setInt32(POLLFD_BYTES, wakeFd, true)
    view.setInt16(POLLFD_BYTES + 4, POLLIN, true)
    view.setBigUint64(2 * POLLFD_BYTES, 1n, true)
    // The process joins the pool's threads when it exits: one in poll(2) would keep it for ever.
    process.once('exit', this.onExit)
  }

  arm(): void {
    if (this.waiting || this.closed) return
    this.waiting = true
    this.libc.pollInThread(this.libc.addressOf(this.memory), 2, -1, () => {
      this.waiting = false
      if (this.closed) closeSync(this.wakeFd)
      else this.onReadable()
    })
  }

  found(): void {}

  close(): void {
    if (this.closed) return
    this.closed = true
    process.removeListener('exit', this.onExit)
    if (this.waiting) this.wakeThread()
    else closeSync(this.wakeFd)
  }

  private wakeThread(): void {
    this.libc.write(this.wakeFd, this.libc.addressOf(this.memory) + 2 * POLLFD_BYTES, 8)
  }
}

class TimerReadiness implements Readiness {
  readonly kind = 'timer'
  private readonly timer: PollTimer

  constructor(onReadable: () => void) {
    this.timer = new PollTimer(onReadable)
  }

  arm(): void {
    this.timer.arm()
  }

  found(): void {
    this.timer.found()
  }

  close(): void {
    this.timer.close()
  }
}
