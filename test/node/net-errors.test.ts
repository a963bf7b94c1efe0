// Failures and misuse of node:net: class, code, message and fields, in their order. Each runs on Node's net and on
// ours, and the two are compared with each other.

import { describe, expect, it } from 'vitest'
import { type AnyNet, listening, onBoth, once, shapeOf } from '../support/net-host.ts'

/** What a call throws; `undefined` where it does not. */
function thrown(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  return undefined
}

async function failure(net: AnyNet, options: object): Promise<unknown> {
  const socket = net.connect(options as never)
  const seen: string[] = []
  for (const event of ['connectionAttempt', 'connectionAttemptFailed', 'connectionAttemptTimeout', 'lookup']) {
    socket.on(event, (...args: unknown[]) => seen.push(`${event} ${args.map(String)}`))
  }
  const closed = once(socket, 'close')
  const [error] = await once(socket, 'error')
  return { error: shapeOf(error), seen, attempted: socket.autoSelectFamilyAttemptedAddresses, closed: await closed }
}

type Answer = (error: Error | null, address: unknown, family?: number) => void
const finds = (address: unknown, family?: number) => (_host: string, _options: object, answer: Answer) =>
  answer(null, address, family)

const CONNECTS: readonly [string, object][] = [
  ['nobody listens', { port: 1, host: '127.0.0.1' }],
  ['nobody listens, over IPv6', { port: 1, host: '::1' }],
  [
    'nobody listens, from an address and a port',
    { port: 1, host: '127.0.0.1', localAddress: '127.0.0.2', localPort: 45_678 },
  ],
  ['port 0, where nobody can listen', { port: 0, host: '127.0.0.1' }],
  ['a local address that is not ours', { port: 1, host: '127.0.0.1', localAddress: '10.99.9.9' }],
  ['a local address of the other family', { port: 1, host: '127.0.0.1', localAddress: '::1' }],
  ['a local port beyond 65,535', { port: 1, host: '127.0.0.1', localPort: 70_000 }],
  ['a local port that is half a number', { port: 1, host: '127.0.0.1', localPort: 1.5 }],
  ['no block list, in as many words', { port: 1, host: '127.0.0.1', blockList: null }],
  [
    'every address of a name',
    {
      port: 1,
      host: 'h.test',
      lookup: finds([
        { address: '127.0.0.1', family: 4 },
        { address: '127.0.0.2', family: 4 },
        { address: '::1', family: 6 },
      ]),
    },
  ],
  [
    'an address named twice',
    {
      port: 1,
      host: 'h.test',
      lookup: finds([
        { address: '127.0.0.1', family: 4 },
        { address: '127.0.0.1', family: 4 },
      ]),
    },
  ],
  ['a lookup that gives no address', { port: 1, host: 'h.test', lookup: finds('xx', 4) }],
  ['a lookup that gives bad addresses', { port: 1, host: 'h.test', lookup: finds([{ address: 'xx', family: 4 }]) }],
  [
    'a lookup that gives bad families',
    { port: 1, host: 'h.test', lookup: finds([{ address: '127.0.0.1', family: 5 }]) },
  ],
  [
    'a lookup of one family that gives another word',
    { port: 1, host: 'h.test', family: 4, lookup: finds('127.0.0.1', 7) },
  ],
  [
    'a lookup that fails',
    {
      port: 1,
      host: 'h.test',
      lookup: (_host: string, _options: object, answer: Answer) =>
        answer(Object.assign(new Error('getaddrinfo ENOTFOUND h.test'), { code: 'ENOTFOUND' }), undefined),
    },
  ],
  ['one family alone', { port: 1, host: 'h.test', family: 4, lookup: finds('127.0.0.1', 4) }],
  ['no selection of a family', { port: 1, host: 'h.test', autoSelectFamily: false, lookup: finds('127.0.0.1', 4) }],
  ['a Unix socket that is not there', { path: '/nonexistent/socket' }],
]

describe('a connection that fails', () => {
  it.each(CONNECTS)('%s: the error and the events before it are those of Node', async (_title, options) => {
    const { node, ours } = await onBoth((net) => failure(net, options))
    expect(ours).toEqual(node)
  })
})

const MISUSES: readonly [string, (net: AnyNet) => unknown][] = [
  ['connect() to a port beyond 65,535', (net) => net.connect(70_000)],
  ['connect() to a negative port', (net) => net.connect({ port: -1 })],
  ['connect() to a port that is half a number', (net) => net.connect({ port: 1.5 })],
  ['connect() to a port of another type', (net) => net.connect({ port: {} as never })],
  ['connect() to a port that is true', (net) => net.connect({ port: true as never })],
  ['connect() to nowhere', (net) => net.connect({} as never)],
  ['connect() without arguments', (net) => new net.Socket().connect(...([] as unknown as [number]))],
  ['a host name as local address', (net) => net.connect({ port: 1, localAddress: 'foo' })],
  ['an object as local address', (net) => net.connect({ port: 1, localAddress: { at: 1 } as never })],
  ['a local port that is text', (net) => net.connect({ port: 1, host: '127.0.0.1', localPort: '5' as never })],
  ['a lookup that is no function', (net) => net.connect({ port: 1, lookup: 'x' as never })],
  ['autoSelectFamily that is no boolean', (net) => net.connect({ port: 1, autoSelectFamily: 1 as never })],
  ['an attempt time-out of 0', (net) => net.connect({ port: 1, autoSelectFamilyAttemptTimeout: 0 })],
  ['an attempt time-out that is text', (net) => net.connect({ port: 1, autoSelectFamilyAttemptTimeout: 'x' as never })],
  ['a path that is no text', (net) => net.connect({ path: 5 as never })],
  ['an object-mode socket', (net) => new net.Socket({ objectMode: true } as never)],
  ['a socket whose readable side is in object mode', (net) => new net.Socket({ readableObjectMode: true } as never)],
  ['a keep-alive delay that is text', (net) => new net.Socket({ keepAliveInitialDelay: 'x' } as never)],
  ['a signal that is none', (net) => new net.Socket({ signal: {} as never })],
  ['a time-out that is text', (net) => new net.Socket().setTimeout('x' as never)],
  ['a time-out that is negative', (net) => new net.Socket().setTimeout(-1)],
  ['a time-out without end', (net) => new net.Socket().setTimeout(Number.POSITIVE_INFINITY)],
  ['a time-out whose callback is a number', (net) => new net.Socket().setTimeout(10, 5 as never)],
  ['write(null)', (net) => new net.Socket().write(null as never)],
  ['write() of a number', (net) => new net.Socket().write(5 as never)],
  ['a server made of text', (net) => net.createServer('x' as never)],
  ['a server with a keep-alive delay that is text', (net) => net.createServer({ keepAliveInitialDelay: 'x' as never })],
  ['a server with a high-water mark that is text', (net) => net.createServer({ highWaterMark: 'x' as never })],
  ['listen() on a port beyond 65,535', (net) => net.createServer().listen(70_000)],
  ['listen() on a port in words', (net) => net.createServer().listen({ port: 'x' })],
  ['listen() without port or path', (net) => net.createServer().listen({})],
  ['listen() on a port that is false', (net) => net.createServer().listen({ port: false as never })],
  ['listen() with a signal that is none', (net) => net.createServer().listen({ port: 0, signal: 5 as never })],
  ['the default of autoSelectFamily that is no boolean', (net) => net.setDefaultAutoSelectFamily(1 as never)],
  ['the default attempt time-out of 0', (net) => net.setDefaultAutoSelectFamilyAttemptTimeout(0)],
]

describe('what Node refuses', () => {
  it.each(MISUSES)('%s is refused by ours with the same error', async (_title, misuse) => {
    const { node, ours } = await onBoth((net) => shapeOf(thrown(() => misuse(net)) ?? new Error('not refused')))
    expect(ours).toEqual(node)
    expect(node).not.toMatchObject({ message: 'not refused' })
  })
})

const FAILURES: readonly [string, (net: AnyNet) => Promise<unknown>][] = [
  [
    'a port that is listened on already',
    async (net) => {
      const { server, port } = await listening(net)
      const second = net.createServer().listen(port, '127.0.0.1')
      const [error] = await once(second, 'error')
      server.close()
      return shapeOf(error, { [port]: 'PORT' })
    },
  ],
  [
    'any address, where one is listened on already',
    async (net) => {
      const server = net.createServer().listen(0, '::1')
      await once(server, 'listening')
      const { port } = server.address() as { port: number }
      const second = net.createServer().listen(port, '::')
      const [error] = await once(second, 'error')
      server.close()
      return [shapeOf(error, { [port]: 'PORT' }), second.listening, second.address()]
    },
  ],
  [
    'an address that is not ours',
    async (net) => {
      const [error] = await once(net.createServer().listen(0, '10.99.9.9'), 'error')
      return shapeOf(error)
    },
  ],
  [
    'a Unix socket in a folder that is not there',
    async (net) => {
      const [error] = await once(net.createServer().listen('/nonexistent/socket'), 'error')
      return shapeOf(error)
    },
  ],
  [
    'a server that listens already',
    async (net) => {
      const { server } = await listening(net)
      const error = thrown(() => server.listen(0))
      server.close()
      return shapeOf(error)
    },
  ],
  [
    'the end of a server that does not run',
    async (net) => shapeOf(await new Promise((resolve) => net.createServer().close(resolve))),
  ],
  [
    'writing to a socket that never connected',
    async (net) => {
      const socket = new net.Socket()
      const event = once(socket, 'error')
      const callback = new Promise((resolve) => socket.write('x', resolve))
      return [shapeOf(await callback), shapeOf((await event)[0])]
    },
  ],
  [
    'writing to a socket that is destroyed before it connects',
    async (net) => {
      const { server, port } = await listening(net)
      const socket = net.connect(port, '127.0.0.1')
      const callback = new Promise((resolve) => socket.write('x', resolve))
      socket.destroy()
      const error = await callback
      server.close()
      return shapeOf(error)
    },
  ],
  [
    'writing after end()',
    async (net) => {
      const { server, port } = await listening(net, {}, (socket) => socket.resume())
      const socket = net.connect(port, '127.0.0.1').resume()
      const event = once(socket, 'error')
      socket.end()
      const callback = new Promise((resolve) => socket.write('x', resolve))
      const shapes = [shapeOf(await callback), shapeOf((await event)[0])]
      server.close()
      return shapes
    },
  ],
  [
    'writing after the peer has ended',
    async (net) => {
      const { server, port } = await listening(net, {}, (socket) => socket.end())
      const socket = net.connect(port, '127.0.0.1').resume()
      const event = once(socket, 'error')
      // Its own half is ended a tick after the event, and it is destroyed when that is done.
      const callback = new Promise((resolve) => {
        socket.once('end', () => process.nextTick(() => process.nextTick(() => socket.write('x', resolve))))
      })
      const shapes = [shapeOf(await callback), shapeOf((await event)[0])]
      server.close()
      return shapes
    },
  ],
  [
    'reading where the peer resets',
    async (net) => {
      const { server, port } = await listening(net, {}, (socket) => setTimeout(() => socket.resetAndDestroy(), 10))
      const socket = net.connect(port, '127.0.0.1').resume()
      const [error] = await once(socket, 'error')
      server.close()
      return shapeOf(error)
    },
  ],
  [
    'writing where the peer has gone after its end: the pipe is broken',
    async (net) => {
      const { server, port } = await listening(net, {}, (socket) => socket.destroy())
      const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true }).resume()
      await once(socket, 'end')
      const event = once(socket, 'error')
      // The first one is answered by RST.
      const writing = setInterval(() => socket.write('x'), 5)
      const [error] = await event
      clearInterval(writing)
      server.close()
      return shapeOf(error)
    },
  ],
  [
    'writing where the peer has reset what nobody reads',
    async (net) => {
      const { server, port } = await listening(net)
      const connection = once(server, 'connection')
      const socket = net.connect({ port, host: '127.0.0.1' }).pause()
      await once(socket, 'connect')
      const [accepted] = (await connection) as [typeof socket]
      const closed = once(accepted, 'close')
      accepted.resetAndDestroy()
      await closed
      await new Promise((resolve) => setTimeout(resolve, 10))
      const event = once(socket, 'error')
      const callback = new Promise((resolve) => socket.write('x', resolve))
      server.close()
      return [shapeOf((await event)[0]), shapeOf(await callback)]
    },
  ],
  [
    'connecting while it connects already',
    async (net) => {
      const { server, port } = await listening(net)
      const socket = net.connect(port, '127.0.0.1').connect(port, '127.0.0.1')
      const [error] = await once(socket, 'error')
      const { localPort } = error as { localPort?: number }
      const text = /Local \(127\.0\.0\.1:(\d+)\)/.exec((error as Error).message)
      await once(server.close(), 'close')
      return [shapeOf(error, { [port]: 'PORT', [Number(text?.[1])]: 'OWN' }), localPort]
    },
  ],
  [
    'connecting where it is connected: once that goes well, and then no more',
    async (net) => {
      const { server, port } = await listening(net)
      const connection = once(server, 'connection')
      const socket = net.connect(port, '127.0.0.1')
      await once(socket, 'connect')
      const accepted = (await connection)[0] as typeof socket
      const names = { [port]: 'PORT', [socket.localPort!]: 'OWN' }
      await once(socket.connect(9, '127.0.0.1'), 'connect')
      const errors: unknown[] = [socket.remotePort === port, server.listening]
      for (const end of [socket, accepted]) {
        const [error] = await once(end.connect(9, '127.0.0.1'), 'error')
        errors.push(shapeOf(error, names))
      }
      await once(server.close(), 'close')
      return errors
    },
  ],
  [
    'resetting a socket that has no connection',
    async (net) => {
      const socket = new net.Socket()
      const event = once(socket, 'error')
      socket.resetAndDestroy()
      return shapeOf((await event)[0])
    },
  ],
  [
    'connecting under a signal that is aborted',
    async (net) => {
      const { server, port } = await listening(net)
      const abort = new AbortController()
      const socket = net.connect({ port, host: '127.0.0.1', signal: abort.signal } as never)
      abort.abort()
      const [error] = await once(socket, 'error')
      server.close()
      return [shapeOf(error), socket.destroyed]
    },
  ],
]

describe('an operation that fails', () => {
  it.each(FAILURES)('%s gives the error that Node gives', async (_title, run) => {
    const { node, ours } = await onBoth(run)
    expect(ours).toEqual(node)
  })
})
