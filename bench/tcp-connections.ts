// Connections: how many can be opened and closed in a second, what one costs that does nothing, and what a segment costs
// where there are many. Both ends are in this process.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import type { Bench, Figure, Result } from './figure.ts'
import { type Ends, TcpPair } from './tcp-pair.ts'
import { median } from './timing.ts'

const ROUNDS = 7
const OPENED_AT_ONCE = 512
const OPENED_BY_NODE = 256
const COUNTS = [10, 1_000, 100_000]
const IDLE_LIMIT_BYTES = 2_048
const COST_LIMIT = 1.5
/** Segments of one full size that a connection sends when it is its turn: what an initial window holds. */
const BURST = 10
const BURSTS = 2_000
const WARMUP_ROUNDS = 3
const GIBIBYTE = 1_024 ** 3

export const tcpConnectionsBench: Bench = {
  name: 'tcp-connections',
  summary: 'connections a second, memory of an idle one, cost per segment with many',
  run: connections,
}

async function connections(): Promise<Result> {
  const { gc } = globalThis
  if (gc === undefined) throw new Error('tcp-connections needs node --expose-gc, as npm run bench gives it')
  const figures: Figure[] = [...(await opened())]
  const crowds = COUNTS.map((count) => new Crowd(count, gc))
  const costs = costsPerSegment(crowds)
  for (const crowd of crowds) {
    if (crowd.count === COUNTS[0]) continue
    const socketBytes = crowd.sizeOfSockets(gc)
    const value = crowd.bytes - socketBytes
    const limit = crowd.count === COUNTS.at(-1) ? { bound: { atMost: IDLE_LIMIT_BYTES } } : {}
    figures.push({ what: `idle connection, of ${words(crowd.count)}`, value, unit: 'bytes', ...limit })
    figures.push({ what: `its socket, of ${words(crowd.count)}`, value: socketBytes, unit: 'bytes' })
  }
  figures.push(...costs)
  for (const crowd of crowds) crowd.pair.world.close()
  return {
    figures,
    notes: [
      `opened and closed: connect, accept, close at both ends, TIME-WAIT gone, ${OPENED_AT_ONCE} at once (node:net ${OPENED_BY_NODE}); both ends in this process, medians of ${ROUNDS} rounds in turns.`,
      'idle: heap and array buffers without the slabs of pages, after a full collection, by the number of ends: each connection has two here. Its socket is what a program holds beside.',
      `segment: ${BURST} of 1,448 bytes from connection to connection, sent, received, read and acknowledged; all its costs at both ends.`,
    ],
    skipped: '',
  }
}

const words = (count: number): string => count.toLocaleString('en-US')

async function opened(): Promise<Figure[]> {
  const pair = new TcpPair()
  const ours: number[] = []
  const nodes: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now()
    pair.closeAll(pair.connectMany(OPENED_AT_ONCE))
    ours.push((OPENED_AT_ONCE * 1_000) / (performance.now() - start))
    nodes.push(await openedByNode())
  }
  pair.close()
  // The first rounds compile.
  const [value, kernel] = [median(ours.slice(2)), median(nodes.slice(2))]
  return [
    { what: 'opened and closed', value, unit: 'per second' },
    { what: 'opened and closed, node:net over loopback', value: kernel, unit: 'per second' },
    { what: 'opened and closed, to node:net', value: value / kernel, unit: '×' },
  ]
}

async function openedByNode(): Promise<number> {
  const server = createServer((socket) => socket.on('data', () => {}).on('end', () => socket.end()))
  server.listen(0, '127.0.0.1', OPENED_BY_NODE)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const start = performance.now()
  const clients = Array.from({ length: OPENED_BY_NODE }, async () => {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.resume().end()
    await once(socket, 'close')
  })
  await Promise.all(clients)
  const took = performance.now() - start
  server.close()
  return (OPENED_BY_NODE * 1_000) / took
}

/** Connections that exist at once, in a world of their own. */
class Crowd {
  readonly count: number
  readonly pair = new TcpPair({ poolBytes: GIBIBYTE })
  /** Of one end, its socket included. */
  readonly bytes: number
  private readonly ends: Ends[]
  private readonly chunk = new Uint8Array(BURST * 1_448).fill(0x5a)
  private readonly target = new Uint8Array(BURST * 1_448)
  private turn = 0

  constructor(count: number, gc: () => void) {
    this.count = count
    // What is there once and for all: code, tables.
    this.pair.closeAll(this.pair.connectMany(10))
    const before = this.used(gc)
    this.ends = this.pair.connectMany(count)
    this.bytes = (this.used(gc) - before) / (2 * count)
  }

  /** Nanoseconds of one segment, where `busy` connections have something to send in turn. */
  perSegment(busy: number): number {
    const start = performance.now()
    for (let index = 0; index < BURSTS; index++) this.burst(this.ends[this.turn++ % busy]!)
    return ((performance.now() - start) * 1e6) / (BURSTS * BURST)
  }

  /** What goes when the sockets go and the connections stay: for each end. */
  sizeOfSockets(gc: () => void): number {
    const kept = this.ends.flatMap(({ client, server }) => [client.connection, server.connection])
    const before = this.used(gc)
    for (const connection of kept) connection.owner = null
    this.ends.length = 0
    return (before - this.used(gc)) / kept.length
  }

  private burst({ client, server }: Ends): void {
    const { chunk, pair, target } = this
    client.tryWrite(chunk)
    for (let arrived = 0; arrived < chunk.length || client.connection.sendQueue.length > 0; ) {
      pair.step()
      arrived += server.tryRead(target)
    }
  }

  private used(gc: () => void): number {
    gc()
    gc()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers - this.pair.pool.slabBytes
  }
}

/** What a segment costs with few connections and with many, in turns. */
function costsPerSegment(crowds: readonly Crowd[]): Figure[] {
  const contestants = crowds.flatMap((crowd) => [
    { crowd, busy: 10, what: `segment, ${words(crowd.count)} connections, ten of them busy`, times: [] as number[] },
    {
      crowd,
      busy: crowd.count,
      what: `segment, ${words(crowd.count)} connections, all in turn`,
      times: [] as number[],
    },
  ])
  for (let round = -WARMUP_ROUNDS; round < ROUNDS; round++) {
    for (const { crowd, busy, times } of contestants) {
      const time = crowd.perSegment(busy)
      if (round >= 0) times.push(time)
    }
  }
  const ratio = (most: number, least: number): number =>
    median(contestants.at(most)!.times.map((time, round) => time / contestants[least]!.times[round]!))
  const bound = { atMost: COST_LIMIT }
  return [
    ...contestants.map(({ what, times }) => ({ what, value: median(times), unit: 'ns' })),
    { what: 'segment, 100,000 to 10, ten busy', value: ratio(-2, 0), unit: '×', bound },
    { what: 'segment, 100,000 to 10, all in turn', value: ratio(-1, 1), unit: '×', bound },
  ]
}
