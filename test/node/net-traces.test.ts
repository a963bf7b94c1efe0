// The golden traces of NODE-CONTRACT.md: which events, in which order, in which state of the socket. Each runs on
// Node's net and on ours, and the two are compared with each other.

import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import { type AnyNet, type AnySocket, listening, onBoth, once } from '../support/net-host.ts'

const EVENTS = [
  'lookup',
  'connectionAttempt',
  'connectionAttemptFailed',
  'connect',
  'ready',
  'data',
  'end',
  'finish',
  'timeout',
  'drain',
  'error',
  'close',
]

function trace(socket: AnySocket, label: string, log: string[], silent: readonly string[] = []): void {
  for (const event of EVENTS) {
    if (silent.includes(event)) continue
    socket.on(event, (first: unknown) => {
      const detail =
        event === 'error' ? `(${(first as NodeJS.ErrnoException).code})` : event === 'close' ? `(${first})` : ''
      const flags = `${socket.pending ? ',pending' : ''}${socket.destroyed ? ',destroyed' : ''}`
      log.push(`${label}:${event}${detail}[${socket.readyState}${flags}]`)
    })
  }
}

interface Scenario {
  readonly title: string
  readonly options?: object
  /** Whether the client's connection ever reaches the server. */
  readonly accepted?: boolean
  /** Events that nobody at the client listens to: who listens to data reads. */
  readonly silent?: readonly string[]
  readonly server: (socket: AnySocket) => void
  readonly client: (socket: AnySocket) => void
}

/** Tells the client of the scenario that there is something it has not read. */
const unread = new EventEmitter()

const SCENARIOS: readonly Scenario[] = [
  {
    title: 'the server ends, the client listens to data',
    server: (socket) => socket.end('x').resume(),
    client: (socket) => socket.on('data', () => {}),
  },
  {
    title: 'the server ends without a byte, and the client never looks',
    silent: ['data'],
    server: (socket) => socket.end().resume(),
    client: () => {},
  },
  {
    title: 'the server ends with bytes that the client takes out when they are readable',
    silent: ['data'],
    server: (socket) => socket.end('x').resume(),
    client: (socket) => socket.on('readable', () => socket.read()),
  },
  {
    title: 'the server ends, the client flows',
    server: (socket) => socket.end('x').resume(),
    client: (socket) => socket.resume(),
  },
  {
    title: 'the client ends, a half-open server answers later',
    options: { allowHalfOpen: true },
    server: (socket) => socket.resume().on('end', () => setTimeout(() => socket.end('late'), 20)),
    client: (socket) => socket.end('hi').resume(),
  },
  {
    title: 'the server resets',
    server: (socket) => setTimeout(() => socket.resetAndDestroy(), 20),
    client: (socket) => socket.resume(),
  },
  {
    title: 'the server destroys at once',
    server: (socket) => socket.destroy(),
    client: (socket) => socket.resume(),
  },
  {
    title: 'the client destroys while connecting',
    accepted: false,
    server: () => {},
    client: (socket) => socket.destroy(),
  },
  {
    title: 'the client writes once more when the server has ended',
    server: (socket) => socket.end(),
    client: (socket) => socket.resume().on('end', () => socket.write('z')),
  },
  {
    title: 'a client that keeps its half writes to a socket that the server destroyed',
    options: { allowHalfOpen: true },
    server: (socket) => socket.destroy(),
    client: (socket) => socket.resume().on('end', () => setTimeout(() => socket.destroyed || socket.write('z'), 20)),
  },
  {
    title: 'the client is idle for longer than its time-out, and destroys then',
    server: (socket) => socket.resume(),
    client: (socket) => socket.setTimeout(30, () => setTimeout(() => socket.destroy(), 20)).resume(),
  },
  {
    title: 'the client destroys with data unread, which the server hears as a reset',
    server: (socket) => {
      socket.write(Buffer.alloc(1_000), () => unread.emit('written'))
      socket.resume()
    },
    client: (socket) => {
      const written = once(unread, 'written')
      socket.pause().on('ready', () => written.then(() => setTimeout(() => socket.destroy(), 20)))
    },
  },
  {
    title: 'both sides write and end',
    server: (socket) => socket.on('data', (data) => socket.end(data)),
    client: (socket) => socket.end('echo').resume(),
  },
  {
    title: 'the client destroys with an error of its own',
    server: (socket) => socket.resume(),
    client: (socket) =>
      socket.on('ready', () => socket.destroy(Object.assign(new Error('mine'), { code: 'MINE' }))).resume(),
  },
  {
    title: 'the client writes more than the stream likes, and the server reads it',
    server: (socket) => socket.resume(),
    client: (socket) => {
      socket.write(Buffer.alloc(40_000))
      socket.end()
      socket.resume()
    },
  },
]

async function play(
  net: AnyNet,
  { options, accepted = true, silent = [], server: serve, client: use }: Scenario,
): Promise<string[]> {
  const log: string[] = []
  const closed: Promise<unknown>[] = []
  const { server, port } = await listening(net, options, (socket) => {
    trace(socket, 'S', log)
    closed.push(once(socket, 'close'))
    serve(socket)
  })
  const connected = accepted ? once(server, 'connection') : null
  const client = net.connect(port, '127.0.0.1')
  trace(client, 'C', log, silent)
  closed.push(once(client, 'close'))
  log.push(`C:sync[${client.readyState},${client.connecting},${client.pending}]`)
  use(client)
  await connected
  await Promise.all(closed)
  server.close()
  await once(server, 'close')
  return log
}

describe('the events of a connection, their order and the states of the sockets are those of Node', () => {
  it.each(SCENARIOS)('where $title', async (scenario) => {
    const { node, ours } = await onBoth((net) => play(net, scenario))
    expect(ours).toEqual(node)
    expect(node.some((line) => line.startsWith('C:close'))).toBe(true)
  })
})
