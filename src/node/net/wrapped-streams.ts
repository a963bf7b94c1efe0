// Streams of ours below TLS and HTTP/2. Node gives both a handle of the system's, and wraps any other stream in a socket
// without addresses (its JSStreamSocket). Here that wrapper's handle learns to ask the stream below, so that a program
// finds remoteAddress, setNoDelay() and unref() where it looks for them. net.ts calls this once in a process.

import type { EventEmitter } from 'node:events'
import { PassThrough } from 'node:stream'
import { TLSSocket } from 'node:tls'

/** What such a handle asks the stream below for. */
interface Below {
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
  readonly localFamily?: string | undefined
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
  readonly remoteFamily?: string | undefined
  address(): object
  setNoDelay(on: boolean): unknown
  setKeepAlive(on: boolean, milliseconds: number): unknown
  ref(): unknown
  unref(): unknown
}

interface Wrapper {
  readonly stream: EventEmitter
  read(size?: number): unknown
  doClose(done: () => void): void
}

/** Marks a stream as one of ours. */
export const OURS = Symbol('hourglass stream')

/** In errno(3): there is no such address. */
const NOT_CONNECTED = -107
const MILLIS_PER_SECOND = 1_000

const wrapped = new WeakSet<object>()
/** Of these, those that have told that they are closed. */
const closed = new WeakSet<object>()
let isDone = false

/** Whether TLS or HTTP/2 is above the stream: it ends the stream when it has said its own last words. */
export const isWrapped = (stream: object): boolean => wrapped.has(stream)

/** A second call does nothing. */
export function seeThroughWrappers(): void {
  if (isDone) return
  isDone = true
  const probe = new TLSSocket(new PassThrough() as never)
  const { _handle: top } = probe as unknown as { _handle?: { _parent?: object; _parentWrap?: Wrapper } }
  probe.destroy()
  const handle = top?._parent
  const wrapper = top?._parentWrap
  if (handle === undefined || wrapper === undefined) return
  const owner = Object.getOwnPropertySymbols(handle).find((symbol) => Reflect.get(handle, symbol) === wrapper)
  if (owner === undefined) return
  const below = (inner: object): Below | null => belowOf((Reflect.get(inner, owner) as Wrapper | null)?.stream)
  Object.defineProperties(Object.getPrototypeOf(handle), methodsOver(below))
  noteWrapping(Object.getPrototypeOf(wrapper) as Wrapper)
}

function belowOf(stream: object | undefined): Below | null {
  if (stream === undefined) return null
  return OURS in stream ? (stream as unknown as Below) : null
}

/** The wrapper begins to read at the end of its constructor, when it has its stream. As in Node, the stream closes first. */
function noteWrapping(prototype: Wrapper): void {
  const { read, doClose } = prototype
  const noted = function (this: Wrapper, size?: number): unknown {
    const { stream } = this
    if (OURS in stream && !wrapped.has(stream)) {
      wrapped.add(stream)
      stream.once('close', () => closed.add(stream))
    }
    return read.call(this, size)
  }
  const closeAfter = function (this: Wrapper, done: () => void): void {
    const { stream } = this
    doClose.call(this, () => {
      if (!wrapped.has(stream) || closed.has(stream)) done()
      else stream.once('close', done)
    })
  }
  Object.defineProperty(prototype, 'read', { value: noted, writable: true, configurable: true })
  Object.defineProperty(prototype, 'doClose', { value: closeAfter, writable: true, configurable: true })
}

type Methods = Record<string, (this: object, ...args: never[]) => number>

/** The methods of a TCP handle of Node's that a JSStream has not; they return 0, or a number of errno(3). */
function methodsOver(below: (handle: object) => Below | null): PropertyDescriptorMap {
  const name = (out: object, address: unknown, family: unknown, port: unknown): number => {
    if (address === undefined) return NOT_CONNECTED
    Object.assign(out, { address, family, port })
    return 0
  }
  const tell = (handle: object, act: (socket: Below) => unknown): number => {
    const socket = below(handle)
    if (socket !== null) act(socket)
    return 0
  }
  const methods: Methods = {
    getsockname(out: object) {
      const socket = below(this)
      return name(out, socket?.localAddress, socket?.localFamily, socket?.localPort)
    },
    getpeername(out: object) {
      const socket = below(this)
      return name(out, socket?.remoteAddress, socket?.remoteFamily, socket?.remotePort)
    },
    setNoDelay(on: boolean) {
      return tell(this, (socket) => socket.setNoDelay(Boolean(on)))
    },
    setKeepAlive(on: boolean, seconds: number) {
      return tell(this, (socket) => socket.setKeepAlive(Boolean(on), seconds * MILLIS_PER_SECOND))
    },
    ref() {
      return tell(this, (socket) => socket.ref())
    },
    unref() {
      return tell(this, (socket) => socket.unref())
    },
  }
  const descriptors: PropertyDescriptorMap = {}
  for (const [title, value] of Object.entries(methods)) {
    descriptors[title] = { value, writable: true, configurable: true }
  }
  return descriptors
}
