// What sockets and servers of node:net do when all goes well: properties, options, methods, counts. Each scenario runs on
// Node's net and on ours, and what it observes is compared with each other.

import { AsyncLocalStorage } from 'node:async_hooks'
import system from 'node:net'
import { describe, expect, it } from 'vitest'
import { type AnyNet, type AnyServer, type AnySocket, listening, onBoth, once } from '../support/net-host.ts'

/** Both ends of a connection. */
interface Pair {
  readonly server: AnyServer
  readonly port: number
  readonly client: AnySocket
  readonly accepted: AnySocket
}

async function pair(net: AnyNet, options: system.ServerOpts = {}, connect: object = {}): Promise<Pair> {
  const { server, port } = await listening(net, options)
  const connection = once(server, 'connection')
  const client = net.connect({ port, host: '127.0.0.1', ...connect })
  await once(client, 'connect')
  const [accepted] = (await connection) as [AnySocket]
  return { server, port, client, accepted }
}

async function end({ server, client, accepted }: Pair): Promise<void> {
  const closed = once(server, 'close')
  client.destroy()
  accepted.destroy()
  server.close()
  await closed
}

/** Runs on a connection, and ends it. */
const onPair =
  (run: (both: Pair, net: AnyNet) => unknown, options?: system.ServerOpts, connect?: object) =>
  async (net: AnyNet): Promise<unknown> => {
    const both = await pair(net, options, connect)
    const result = await run(both, net)
    await end(both)
    return result
  }

/** All that is read until the end. */
async function readAll(socket: AnySocket): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

const look = (socket: AnySocket): unknown => {
  const { connecting, pending, destroyed, readyState, timeout, allowHalfOpen, bytesRead, bytesWritten } = socket
  const { localAddress, localFamily, remoteAddress, remoteFamily } = socket
  const flags = { connecting, pending, destroyed, readyState, timeout, allowHalfOpen, bytesRead, bytesWritten }
  const { readableHighWaterMark, writableHighWaterMark, writableLength, readableFlowing } = socket
  const marks = { readableHighWaterMark, writableHighWaterMark, writableLength, readableFlowing }
  return {
    ...flags,
    ...marks,
    localAddress,
    localFamily,
    remoteAddress,
    remoteFamily,
    address: Object.keys(socket.address()),
  }
}

const SCENARIOS: readonly [string, (net: AnyNet) => unknown][] = [
  ['a socket that was just made', (net) => look(new net.Socket())],
  [
    'a socket made without new, and by its old name',
    (net) => [
      (net.Socket as unknown as () => AnySocket)() instanceof net.Socket,
      (net as unknown as { Stream: unknown }).Stream === net.Socket,
    ],
  ],
  ['a server made without new', (net) => (net.Server as unknown as () => AnyServer)() instanceof net.Server],
  [
    'a class that inherits from Socket, and a function that does as one did before classes',
    (net) => {
      class Mine extends net.Socket {}
      function Old(this: AnySocket): void {
        ;(net.Socket as unknown as (this: AnySocket) => void).call(this)
      }
      Object.setPrototypeOf(Old.prototype, net.Socket.prototype)
      const old = new (Old as unknown as new () => AnySocket)()
      return [new Mine() instanceof net.Socket, old instanceof net.Socket, old.readyState]
    },
  ],
  [
    'the names that the module gives',
    (net) => Object.keys(system).filter((name) => name in net || name.startsWith('_create')),
  ],
  ['the names of the methods and properties of a socket', (net) => methodsOf(new net.Socket(), net)],
  ['the names of the methods and properties of a server', (net) => methodsOf(net.createServer(), net)],
  [
    'a server that does not listen',
    (net) => {
      const { listening: on, maxConnections } = net.createServer()
      return [on, maxConnections, net.createServer().address()]
    },
  ],
  ['both ends of a connection', onPair(({ client, accepted }) => [look(client), look(accepted)])],
  [
    'both ends of a half-open server and their options',
    onPair(
      ({ client, accepted }) => [look(client), look(accepted)],
      { allowHalfOpen: true, highWaterMark: 1_000 },
      { allowHalfOpen: true, highWaterMark: 2_000 },
    ),
  ],
  [
    'both ends after they are destroyed: what they read and wrote stays',
    async (net) => {
      const both = await pair(net)
      both.accepted.end('hello')
      const read = await readAll(both.client)
      await end(both)
      return [read, look(both.client), look(both.accepted)]
    },
  ],
  [
    'the ports at both ends, and the address of the server',
    onPair(({ client, accepted, port, server }) => [
      client.remotePort === port,
      accepted.localPort === port,
      accepted.remotePort === client.localPort,
      Object.entries(server.address() as object).map(([key, value]) => [key, value === port ? 'PORT' : value]),
      Object.keys(client.address()),
    ]),
  ],
  [
    'an IPv4 client of a server on any address: mapped into IPv6',
    async (net) => {
      const server = net.createServer().listen(0)
      await once(server, 'listening')
      const { address, family, port } = server.address() as system.AddressInfo
      const connection = once(server, 'connection')
      const client = net.connect(port, '127.0.0.1')
      await once(client, 'connect')
      const [accepted] = (await connection) as [AnySocket]
      const seen = [address, family, look(accepted), client.remoteAddress]
      await end({ server, client, accepted, port })
      return seen
    },
  ],
  [
    'a server that takes IPv6 alone, and an IPv4 client',
    async (net) => {
      const server = net.createServer().listen({ port: 0, host: '::', ipv6Only: true })
      await once(server, 'listening')
      const { port } = server.address() as system.AddressInfo
      const client = net.connect(port, '127.0.0.1')
      const [error] = await once(client, 'error')
      server.close()
      return (error as NodeJS.ErrnoException).code
    },
  ],
  [
    'a connection by a bound address and port',
    onPair(({ client, accepted }) => [client.localAddress, accepted.remoteAddress], {}, { localAddress: '127.0.0.9' }),
  ],
  [
    'what is written while connecting, in several encodings',
    async (net) => {
      const { server, port } = await listening(net)
      const connection = once(server, 'connection')
      const client = net.connect(port, '127.0.0.1')
      client.write('häß')
      client.write('ff00', 'hex')
      client.write(Buffer.from('b'))
      const before = [client.bytesWritten, client.bufferSize, client.writableLength]
      client.end('aGk=', 'base64')
      const [accepted] = (await connection) as [AnySocket]
      const text = (await readAll(accepted)) + accepted.bytesRead
      await end({ server, port, client, accepted })
      return [before, text, client.bytesWritten]
    },
  ],
  [
    'the last words of an end that closes with something unread, and of one that resets',
    async (net) => {
      const heard: number[] = []
      for (const end of ['destroy', 'resetAndDestroy'] as const) {
        const { server, port } = await listening(net, {}, (socket) => {
          socket.once('readable', () => {
            socket.write('x'.repeat(5_000))
            socket.write('y')
            socket[end]()
          })
        })
        const client = net.connect(port, '127.0.0.1').on('error', () => {})
        client.on('data', (chunk) => heard.push(chunk.length))
        client.write(Buffer.alloc(100_000))
        await once(client, 'close')
        server.close()
      }
      return heard.reduce((sum, bytes) => sum + bytes)
    },
  ],
  [
    'text by setEncoding()',
    onPair(async ({ client, accepted }) => {
      client.setEncoding('utf8')
      accepted.end('grüß')
      const [text] = await once(client, 'data')
      return text
    }),
  ],
  [
    'a paused client: what comes waits for resume()',
    onPair(async ({ client, accepted }) => {
      client.pause()
      accepted.write('one')
      await new Promise((resolve) => setTimeout(resolve, 20))
      const waiting = [client.isPaused(), client.readableFlowing]
      client.resume()
      return [waiting, String((await once(client, 'data'))[0])]
    }),
  ],
  [
    'pauseOnConnect: nothing is read until the program wants it',
    onPair(
      async ({ client, accepted }) => {
        client.write('x')
        await new Promise((resolve) => setTimeout(resolve, 20))
        const before = [accepted.bytesRead, accepted.isPaused(), accepted.readableFlowing]
        accepted.resume()
        return [before, String((await once(accepted, 'data'))[0])]
      },
      { pauseOnConnect: true },
    ),
  ],
  [
    'reading into a buffer of the program',
    async (net) => {
      const buffer = Buffer.alloc(4)
      const seen: unknown[] = []
      let enough = (): void => {}
      const done = new Promise<void>((resolve) => {
        enough = resolve
      })
      const callback = (bytes: number, into: Uint8Array): boolean => {
        seen.push([into === buffer, Buffer.from(into.subarray(0, bytes)).toString()])
        if (seen.length === 3) enough()
        return true
      }
      const run = onPair(
        async ({ client, accepted }) => {
          accepted.write('abcdefghij')
          await done
          return [seen, client.bytesRead, client.readableLength]
        },
        {},
        { onread: { buffer, callback } },
      )
      return run(net)
    },
  ],
  [
    'reading into buffers that the program makes, with a pause',
    async (net) => {
      const seen: string[] = []
      const onread = {
        buffer: () => Buffer.alloc(2),
        callback: (bytes: number, into: Uint8Array) => {
          seen.push(Buffer.from(into.subarray(0, bytes)).toString())
          return seen.length !== 2
        },
      }
      const run = onPair(
        async ({ client, accepted }) => {
          accepted.write('abcdef')
          while (seen.length < 2) await new Promise((resolve) => setImmediate(resolve))
          await new Promise((resolve) => setTimeout(resolve, 10))
          const paused = [...seen]
          client.resume()
          while (seen.length < 3) await new Promise((resolve) => setImmediate(resolve))
          return [paused, seen]
        },
        {},
        { onread },
      )
      return run(net)
    },
  ],
  [
    'methods that give the socket back',
    onPair(({ client }) =>
      [
        client.setNoDelay(),
        client.setKeepAlive(true, 1_000),
        client.setTimeout(0),
        client.ref(),
        client.unref(),
        client.pause(),
        client.resume(),
        client.end(),
        client.destroy(),
      ].map((given) => given === client),
    ),
  ],
  [
    'a time-out that reading and writing put off',
    onPair(async ({ client, accepted }) => {
      accepted.resume()
      client.resume()
      let fired = 0
      client.setTimeout(200, () => fired++)
      for (let count = 0; count < 3; count++) {
        await new Promise((resolve) => setTimeout(resolve, 80))
        if (count % 2 === 0) client.write('x')
        else accepted.write('y')
      }
      const early = fired
      await once(client, 'timeout')
      return [early, fired, client.timeout, client.readyState]
    }),
  ],
  [
    'maxConnections: what is too much is dropped, and told',
    async (net) => {
      const { server, port } = await listening(net)
      server.maxConnections = 1
      const connection = once(server, 'connection')
      const client = net.connect(port, '127.0.0.1')
      const [accepted] = (await connection) as [AnySocket]
      const drop = once(server, 'drop')
      const second = net.connect(port, '127.0.0.1').resume()
      const [data] = (await drop) as [{ localAddress: string; remoteFamily: string; localPort: number }]
      await once(second, 'close')
      const count = await new Promise((resolve) => server.getConnections((_error, open) => resolve(open)))
      await end({ server, port, client, accepted })
      return [count, Object.keys(data), data.localAddress, data.remoteFamily, data.localPort === port]
    },
  ],
  [
    'close() of a server waits for its connections, and counts them',
    async (net) => {
      const { server, client, accepted } = await pair(net)
      const log: unknown[] = []
      server.close((error) => log.push(['closed', error]))
      log.push(server.listening, server.address())
      await new Promise((resolve) => setTimeout(resolve, 10))
      const open = await new Promise((resolve) => server.getConnections((_error, count) => resolve(count)))
      log.push(open)
      const closed = once(server, 'close')
      client.destroy()
      accepted.destroy()
      await closed
      return log
    },
  ],
  [
    'a server under a signal closes with it',
    async (net) => {
      const abort = new AbortController()
      const server = net.createServer().listen({ port: 0, host: '127.0.0.1', signal: abort.signal })
      await once(server, 'listening')
      const closed = once(server, 'close')
      abort.abort()
      await closed
      return server.listening
    },
  ],
  [
    'asynchronous disposal of a server',
    async (net) => {
      const { server } = await listening(net)
      await server[Symbol.asyncDispose]()
      return server.listening
    },
  ],
  [
    'a server listens again after close()',
    async (net) => {
      const { server, port } = await listening(net)
      server.close()
      await once(server, 'close')
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
      const same = (server.address() as system.AddressInfo).port === port
      server.close()
      return same
    },
  ],
  [
    'a server that listens on what another one listens on takes its connections',
    async (net) => {
      const { server, port } = await listening(net, {}, (socket) => socket.end('first'))
      const second = net.createServer((socket) => socket.end('second')).listen(server)
      await once(second, 'listening')
      const text = await readAll(net.connect(port, '127.0.0.1'))
      const same = (second.address() as system.AddressInfo).port === port
      second.close()
      server.close()
      await once(server, 'close')
      return [text, same]
    },
  ],
  [
    'a socket connects again after it was closed',
    async (net) => {
      const { server, port } = await listening(net, {}, (socket) => socket.end('x'))
      const seen: string[] = []
      const socket = net.connect(port, '127.0.0.1').on('data', (data) => seen.push(String(data)))
      await once(socket, 'close')
      socket.connect(port, '127.0.0.1')
      await once(socket, 'connect')
      const peer = socket.remoteAddress
      await once(socket, 'close')
      server.close()
      return [seen, peer]
    },
  ],
  [
    'a Unix socket',
    async (net) => {
      const path = `\0hourglass-${process.pid}-${Math.random()}`
      const server = net.createServer((socket) => socket.pipe(socket)).listen(path)
      await once(server, 'listening')
      const socket = net.connect(path)
      socket.end('over the system')
      const text = await readAll(socket)
      const address = server.address() === path
      server.close()
      await once(server, 'close')
      return [text, address, socket.remoteAddress]
    },
  ],
  [
    'the asynchronous context of a socket is that in which it was made',
    async (net) => {
      const storage = new AsyncLocalStorage<string>()
      const seen: unknown[] = []
      const { server, port } = await listening(net, {}, (socket) => socket.end('x').resume())
      await storage.run('mine', async () => {
        const socket = net.connect(port, '127.0.0.1')
        for (const event of ['connect', 'data', 'end', 'close'])
          socket.on(event, () => seen.push([event, storage.getStore()]))
        await once(socket, 'close')
      })
      server.close()
      return seen
    },
  ],
  [
    'isIP() and its like',
    (net) => ['1.2.3.4', '::1', 'x', ''].map((text) => [net.isIP(text), net.isIPv4(text), net.isIPv6(text)]),
  ],
  [
    'the defaults of autoSelectFamily',
    (net) => {
      const before = [net.getDefaultAutoSelectFamily(), net.getDefaultAutoSelectFamilyAttemptTimeout()]
      net.setDefaultAutoSelectFamily(false)
      net.setDefaultAutoSelectFamilyAttemptTimeout(5)
      const after = [net.getDefaultAutoSelectFamily(), net.getDefaultAutoSelectFamilyAttemptTimeout()]
      net.setDefaultAutoSelectFamily(true)
      net.setDefaultAutoSelectFamilyAttemptTimeout(250)
      return [before, after]
    },
  ],
]

/** What a program may call, along the prototypes down to the stream or the emitter. */
function methodsOf(instance: object, net: AnyNet): string[] {
  const own = new Set<string>()
  const stop = [net.Socket, net.Server].map((made) => Object.getPrototypeOf(made.prototype) as object)
  for (const made of [system.Socket, system.Server]) {
    if (stop.length === 0) break
    if ((made === system.Socket) === instance instanceof net.Socket) {
      for (const name of Object.getOwnPropertyNames(made.prototype)) if (name in instance) own.add(name)
    }
  }
  return [...own].filter((name) => !/^_(write|server)Generic$|^_listen2$|^_setupWorker$/.test(name)).sort()
}

describe('node:net when all goes well', () => {
  it.each(SCENARIOS)('%s: ours is as Node has it', async (_title, run) => {
    const { node, ours } = await onBoth(run)
    expect(ours).toEqual(node)
  })
})
