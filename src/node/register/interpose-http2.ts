// HTTP/2 in the clear to what is ours. Node takes the session of a socket without a handle for one that is connected, and
// says so at once: here it says so when it is, and never where the connection is refused. Over TLS it waits by itself.

import http2, { type ClientHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import { isMounted } from './interpose-net.ts'

const systemConnect = http2.connect as (...args: unknown[]) => ClientHttp2Session

/** The program must see the change: module.syncBuiltinESMExports() is the caller's. */
export function interposeHttp2(): void {
  http2.connect = ((...args: unknown[]) => {
    const session = systemConnect(...args)
    // What Node's stream around a socket without a handle has inside.
    const { stream } = session.socket as unknown as { stream?: unknown }
    if (isMounted(stream) && stream.connecting) holdBack(session, stream)
    return session
  }) as typeof http2.connect
}

function holdBack(session: ClientHttp2Session, socket: Socket): void {
  const { emit } = session
  const held = (event: string | symbol, ...words: unknown[]): boolean => {
    if (event !== 'connect') return emit.call(session, event as string, ...words)
    if (!socket.connecting) return tell(...words)
    socket.once('connect', () => tell(...words))
    return session.listenerCount('connect') > 0
  }
  const tell = (...words: unknown[]): boolean => {
    Reflect.deleteProperty(session, 'connecting')
    if (session.emit === held) Reflect.deleteProperty(session, 'emit')
    return !session.destroyed && emit.call(session, 'connect', ...words)
  }
  session.emit = held as typeof session.emit
  Object.defineProperty(session, 'connecting', { get: () => !session.destroyed, configurable: true })
}
