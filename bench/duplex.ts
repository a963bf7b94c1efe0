// node:net over our stack, as a Duplex: what an idle one costs in memory, how much goes through it beside src/socket on the
// same host, and how soon an echo is back beside node:net on the kernel. All ends in this process, over loopback.

import { once } from 'node:events'
import system, { type AddressInfo, type Socket } from 'node:net'
import { PagePool } from '../src/buf/page.ts'
import { BatchClock } from '../src/node/clock.ts'
import { Driver } from '../src/node/driver.ts'
import { makeNet } from '../src/node/net/net.ts'
import { CryptoRandom } from '../src/node/random.ts'
import { TcpListener } from '../src/socket/tcp-listener.ts'
import { TcpSocket } from '../src/socket/tcp-socket.ts'
import { Stack } from '../src/stack.ts'
import { LOOPBACK4 } from '../src/wire/address.ts'
import type { Bench, Figure, Result } from './figure.ts'
import { type AnyNet, type Ends, end, LOOPBACK, netBulk, turn } from './net-bulk.ts'
import { CHUNK } from './tcp-pair.ts'
import { gigabits, gigabitsByProcessor, inTurns, median, type Runner } from './timing.ts'

const TURNS = { rounds: 9, roundMillis: 200, warmupMillis: 500 }
const IDLE_SOCKETS = 4_000
const IDLE_LIMIT_BYTES = 8_192
const LEAST_BULK_RATIO = 0.7
const ECHO_BYTES = 64
const LISTENER_PORT = 5_001

export const duplexBench: Bench = {
  name: 'duplex',
  summary: 'node:net over our stack: memory of an idle socket, bulk beside src/socket, echo beside node:net',
  run: duplex,
}

async function duplex(): Promise<Result> {
  const { gc } = globalThis
  if (gc === undefined) throw new Error('duplex needs node --expose-gc, as npm run bench gives it')
  const host = new LocalHost()
  const figures = [...(await idle(host, gc)), ...(await bulk(host)), ...(await echo(host))]
  host.close()
  return {
    figures,
    notes: [
      `idle: heap and array buffers without the slabs of pages, after a full collection, of ${IDLE_SOCKETS.toLocaleString('en-US')} connections that were made and never used, by the number of ends; each end is a socket with its connection. Of node:net the kernel’s part is not counted.`,
      `bulk: chunks of ${CHUNK.toLocaleString('en-US')} bytes, ${TURNS.rounds} rounds of ${TURNS.roundMillis} ms in turns, read as data comes; ratios are medians of the rounds’ ratios. With data each chunk has memory of its own; with onread, and where src/socket reads into one array, all share one.`,
      `echo: ${ECHO_BYTES} bytes there and back, the next when the last is back, without Nagle; both ends are programs of node:net in this process.`,
    ],
    skipped: '',
  }
}

/** A host in real time with nothing but its loopback device. */
class LocalHost {
  readonly pool = new PagePool()
  readonly stack: Stack
  readonly net: AnyNet
  private readonly driver: Driver

  constructor() {
    const clock = new BatchClock()
    clock.advance()
    this.stack = new Stack({ clock, random: new CryptoRandom(), pool: this.pool })
    this.driver = new Driver({ machine: this.stack, clock })
    this.stack.onWork = () => this.driver.wake()
    this.net = makeNet(this.stack)
  }

  close(): void {
    this.driver.close()
    this.stack.close()
    if (this.pool.inUse !== 0) throw new Error(`${this.pool.inUse} pages were not given back`)
  }
}

async function ends(net: AnyNet): Promise<Ends> {
  const server = net.createServer({ noDelay: true }).listen(0, LOOPBACK)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const connection = once(server, 'connection') as Promise<[Socket]>
  const client = net.connect({ port, host: LOOPBACK, noDelay: true })
  await once(client, 'connect')
  const [accepted] = await connection
  return { server, client, accepted }
}

async function idle(host: LocalHost, gc: () => void): Promise<Figure[]> {
  // In this order, for what a connection of ours had to do stays among the timers for some time.
  const nodes = await idleBytes(system, gc, null)
  const ours = await idleBytes(host.net, gc, host.pool)
  const bound = { atMost: IDLE_LIMIT_BYTES }
  return [
    { what: 'idle, a socket and its connection', value: ours, unit: 'bytes', bound },
    { what: 'idle, a socket of node:net', value: nodes, unit: 'bytes' },
  ]
}

/** Of each end. */
async function idleBytes(net: AnyNet, gc: () => void, pool: PagePool | null): Promise<number> {
  // What is there once and for all: code, tables.
  await crowd(net, 100, () => 0)
  const used = (): number => {
    gc()
    gc()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers - (pool?.slabBytes ?? 0)
  }
  const before = used()
  const grown = await crowd(net, IDLE_SOCKETS, () => used() - before)
  return grown / (2 * IDLE_SOCKETS)
}

/** What `look` gives while that many connections are there. */
async function crowd(net: AnyNet, count: number, look: () => number): Promise<number> {
  const accepted: Socket[] = []
  const server = net.createServer((socket) => accepted.push(socket)).listen(0, LOOPBACK)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const clients: Socket[] = []
  while (clients.length < count) {
    const client = net.connect(port, LOOPBACK)
    clients.push(client)
    await once(client, 'connect')
  }
  while (accepted.length < count) await turn()
  for (let quiet = 0; quiet < 10; quiet++) await turn()
  const seen = look()
  const closed = [...clients, ...accepted].map((socket) => once(socket, 'close'))
  for (const socket of [...clients, ...accepted]) socket.resetAndDestroy()
  server.close()
  await Promise.all(closed)
  return seen
}

async function bulk(host: LocalHost): Promise<Figure[]> {
  const contestants = [
    await bySocket(host, LISTENER_PORT, 'one array'),
    await netBulk(host.net, 'bulk, the Duplex with data', 'data'),
    await netBulk(host.net, 'bulk, the Duplex with onread', 'onread'),
    await bySocket(host, LISTENER_PORT + 1, 'an array for each chunk'),
  ]
  const rounds = await inTurns(contestants, TURNS)
  const rates = rounds.map((all) => all.map(gigabits))
  const byProcessor = rounds.map((all) => all.map(gigabitsByProcessor))
  const ratio = (what: string, all: readonly number[][], one: number, other: number, bounded = false): Figure => ({
    what: `bulk, ${what}`,
    value: median(all[one]!.map((rate, round) => rate / all[other]![round]!)),
    unit: '×',
    ...(bounded ? { bound: { atLeast: LEAST_BULK_RATIO } } : {}),
  })
  return [
    ...contestants.map(({ name }, index) => ({ what: name, value: median(rates[index]!), unit: 'Gbit/s' })),
    ratio('onread to src/socket into one array', rates, 2, 0, true),
    ratio('the same by processor time', byProcessor, 2, 0),
    ratio('data to src/socket into an array for each chunk', rates, 1, 3, true),
    ratio('the same by processor time', byProcessor, 1, 3),
    ratio('data to src/socket into one array', rates, 1, 0),
    ratio('src/socket into an array for each chunk to one array', rates, 3, 0),
  ]
}

async function bySocket(
  { stack }: LocalHost,
  port: number,
  into: 'one array' | 'an array for each chunk',
): Promise<Runner> {
  const listener = new TcpListener(stack, { family: 4, port })
  const accepting = listener.accept()
  const writer = await TcpSocket.connect(stack, { remoteAddress: LOOPBACK4, remotePort: port })
  const reader = await accepting
  const chunk = new Uint8Array(CHUNK).fill(0x5a)
  const only = new Uint8Array(CHUNK)
  const target = into === 'one array' ? () => only : () => Buffer.allocUnsafeSlow(CHUNK)
  return {
    name: `bulk, src/socket into ${into}`,
    async run(millis) {
      const until = performance.now() + millis
      let arrived = 0
      let sent = 0
      const writing = (async () => {
        for (; performance.now() < until; sent += CHUNK) await writer.write(chunk)
      })()
      while (performance.now() < until || arrived < sent) arrived += await reader.read(target())
      await writing
      while (arrived < sent) arrived += await reader.read(target())
      return arrived
    },
    async close() {
      writer.abort()
      reader.abort()
      listener.close()
    },
  }
}

async function echo(host: LocalHost): Promise<Figure[]> {
  const contestants = [await byEcho(host.net), await byEcho(system)]
  const rounds = await inTurns(contestants, TURNS)
  const micros = rounds.map((all) => all.map(({ count, millis }) => (millis * 1_000) / count))
  const ratio = median(micros[0]!.map((time, round) => time / micros[1]![round]!))
  return [
    { what: 'echo', value: median(micros[0]!), unit: 'µs' },
    { what: 'echo, node:net over the kernel’s loopback', value: median(micros[1]!), unit: 'µs' },
    { what: 'echo, ours to node:net', value: ratio, unit: '×' },
  ]
}

/** `run` gives round trips. */
async function byEcho(net: AnyNet): Promise<Runner> {
  const both = await ends(net)
  const { client, accepted } = both
  const chunk = Buffer.alloc(ECHO_BYTES, 0x5a)
  let until = 0
  let count = 0
  let settle = (): void => {}
  accepted.on('data', (data) => accepted.write(data))
  client.on('data', () => {
    count++
    if (performance.now() < until) client.write(chunk)
    else settle()
  })
  return {
    name: 'echo',
    run: (millis) =>
      new Promise((resolve) => {
        count = 0
        until = performance.now() + millis
        settle = () => resolve(count)
        client.write(chunk)
      }),
    close: () => end(both),
  }
}
