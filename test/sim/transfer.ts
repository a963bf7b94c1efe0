// One seeded transfer over a bad network: two hosts, a cable that loses, delays, reorders, copies and garbles, bytes in
// both directions at once. What must hold is checked: bytes in are bytes out, both connections end, no page is kept.

import { PagePool } from '../../src/buf/page.ts'
import { NetError } from '../../src/errors.ts'
import type { FaultOptions } from '../../src/link/fault-options.ts'
import { settle } from '../../src/node/settle.ts'
import { SeededRandom } from '../../src/random.ts'
import { World } from '../../src/sim/world.ts'
import { TcpListener } from '../../src/socket/tcp-listener.ts'
import { TcpSocket } from '../../src/socket/tcp-socket.ts'
import type { Stack } from '../../src/stack.ts'
import type { InitialSequenceNumbers } from '../../src/tcp/isn.ts'
import { NewReno } from '../../src/tcp/newreno.ts'
import type { ConnectOptions } from '../../src/tcp/open.ts'
import { type Micros, micros, millis, seconds } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { seq } from '../../src/wire/sequence.ts'

export interface Outcome {
  readonly seed: number
  readonly bytes: number
  readonly virtualSeconds: number
  readonly retransmitted: number
}

/** The byte at a place of a stream: no two places of one page look alike. */
const byteAt = (salt: number, at: number): number => (Math.imul(at, 31) + (at >>> 8) * 7 + (at >>> 16) + salt) & 0xff

const PORT = 80
const LONGEST = seconds(36_000)

/** Faults of one direction, drawn from the seed: most are off in most transfers. */
function drawFaults(random: SeededRandom): Partial<FaultOptions> {
  const on = (chance: number): boolean => random.below(100) < chance
  return {
    ...(on(40) && { loss: random.below(60) / 1_000 }),
    ...(on(15) && { pGoodToBad: 0.005, pBadToGood: 0.3, lossBad: 0.8 }),
    ...(on(25) && { duplicate: random.below(100) / 1_000 }),
    ...(on(25) && { reorder: random.below(150) / 1_000, reorderDelay: millis(1 + random.below(30)) }),
    // One bit: of two, the checksum misses one pair in thirty-two.
    ...(on(20) && { corrupt: random.below(30) / 1_000 }),
    ...(on(30) && { jitter: millis(1 + random.below(20)), jitterReorders: on(30) }),
  }
}

/** Sequence numbers that wrap soon: they begin a little before 2^32, or before 2^31. */
function wrappingIsn(random: SeededRandom): InitialSequenceNumbers {
  return { next: () => seq((random.below(2) === 0 ? 0 : 0x8000_0000) - 1 - random.below(400_000)) }
}

/** Runs the transfer of a seed. Throws where something is not as it must be. */
export async function transfer(seed: number): Promise<Outcome> {
  const random = new SeededRandom(seed)
  const pool = new PagePool()
  const world = new World({ seed, settle, pool })
  try {
    const outcome = await runTransfer(world, random, seed)
    world.close()
    if (pool.inUse !== 0) throw new Error(`${pool.inUse} pages are still in use`)
    return outcome
  } catch (error) {
    world.close()
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`seed ${seed}: ${reason}`, { cause: error })
  }
}

async function runTransfer(world: World, random: SeededRandom, seed: number): Promise<Outcome> {
  const family = random.below(2) === 0 ? 4 : 6
  const hosts = ['a', 'b'].map((name) => world.host(name, { tcp: hostOptions(random) }))
  const [a, b] = hosts as [(typeof hosts)[0], (typeof hosts)[0]]
  const cable = world.cable({
    delay: millis(random.below(40)),
    bitsPerSecond: [1e6, 1e7, 1e8, 1e9][random.below(4)]!,
    queuePackets: 20 + random.below(400),
    mtu: [1_280, 1_500, 9_000][random.below(3)]!,
  })
  const addresses = family === 4 ? ['10.0.0.1', '10.0.0.2'] : ['fd00::1', 'fd00::2']
  const length = family === 4 ? 24 : 64
  const faults = { outbound: drawFaults(random), inbound: drawFaults(random) }
  const on = world.attach(a, cable.a, { addresses: [`${addresses[0]}/${length}`], linkLocal: false, faults })
  world.attach(b, cable.b, { addresses: [`${addresses[1]}/${length}`], linkLocal: false })
  const trouble = scheduleTrouble(world, random, (partitioned) => {
    for (const line of [world.faultsOf(on).outbound, world.faultsOf(on).inbound]) line.configure({ partitioned })
  })
  const listener = new TcpListener(b, { family, port: PORT }, bufferOptions(random))
  const sizes = [random.below(400_000), random.below(400_000)] as const
  const remoteAddress = IpAddress.from(addresses[1]!)
  const client = connectAtLast(world, a, { remoteAddress, remotePort: PORT, options: bufferOptions(random) })
  const serve = listener.accept().then((socket) => exchange(world, random, socket, sizes[1], sizes[0], 77))
  const ask = client.then((socket) => exchange(world, random, socket, sizes[0], sizes[1], 11))
  await world.run(Promise.all([serve, ask]), LONGEST)
  const virtualSeconds = world.now / 1_000_000
  trouble.stop()
  listener.close()
  world.runFor(seconds(400))
  for (const host of hosts) {
    if (host.tcp.demux.size > 0) throw new Error(`${host.name} still has ${[...host.tcp.demux.values()][0]!.state}`)
  }
  const retransmitted = a.counters.TcpRetransSegs + b.counters.TcpRetransSegs
  return { seed, bytes: sizes[0] + sizes[1], virtualSeconds, retransmitted }
}

/** A neighbour behind a partition is not found (EHOSTUNREACH): once more. */
async function connectAtLast(world: World, host: Stack, options: ConnectOptions): Promise<TcpSocket> {
  for (;;) {
    try {
      return await TcpSocket.connect(host, options)
    } catch (error) {
      if (!(error instanceof NetError) || error.code !== 'EHOSTUNREACH') throw error
      await world.sleep(seconds(1))
    }
  }
}

function hostOptions(random: SeededRandom) {
  return {
    isn: wrappingIsn(random),
    config: {
      sack: random.below(5) > 0,
      timestamps: random.below(4) > 0,
      windowScaling: random.below(5) > 0,
      dataRetries: 1_000,
      synRetries: 60,
      synAckRetries: 60,
      orphanRetries: 60,
    },
    ...(random.below(3) === 0 && { congestionControl: () => new NewReno() }),
  }
}

const bufferOptions = (random: SeededRandom) =>
  random.below(4) === 0 ? { receiveBytes: 3_000 + random.below(60_000), sendBytes: 3_000 + random.below(60_000) } : {}

/** Partitions that heal, while the transfer goes on. */
function scheduleTrouble(world: World, random: SeededRandom, set: (partitioned: boolean) => void): { stop(): void } {
  let running = random.below(4) === 0
  const go = async (): Promise<void> => {
    while (running) {
      await world.sleep(millis(100 + random.below(3_000)))
      if (!running) return
      set(true)
      await world.sleep(millis(50 + random.below(4_000)))
      set(false)
    }
  }
  void go()
  return {
    stop: () => {
      running = false
      set(false)
    },
  }
}

/** Writes and reads at once, in pieces of all sizes, sometimes slowly; ends when both directions have. */
async function exchange(
  world: World,
  random: SeededRandom,
  socket: TcpSocket,
  outgoing: number,
  incoming: number,
  salt: number,
): Promise<void> {
  const slow = random.below(6) === 0
  const write = async (): Promise<void> => {
    for (let at = 0; at < outgoing; ) {
      const piece = new Uint8Array(Math.min(outgoing - at, 1 + random.below(random.below(2) === 0 ? 200 : 60_000)))
      for (let index = 0; index < piece.length; index++) piece[index] = byteAt(salt, at + index)
      await socket.write(piece)
      at += piece.length
      if (slow && random.below(20) === 0) await world.sleep(millis(random.below(500)))
    }
    socket.shutdown()
  }
  const read = async (): Promise<void> => {
    const target = new Uint8Array(1 + random.below(30_000))
    const theirs = salt === 11 ? 77 : 11
    let got = 0
    for (;;) {
      const count = await socket.read(target)
      if (count === 0) break
      for (let index = 0; index < count; index++) {
        if (target[index] !== byteAt(theirs, got + index)) throw new Error(`a wrong byte at ${got + index}`)
      }
      got += count
      if (slow && random.below(20) === 0) await world.sleep(micros(random.below(400_000)) as Micros)
    }
    if (got !== incoming) throw new Error(`${got} bytes arrived of ${incoming}`)
  }
  await Promise.all([write(), read()])
  socket.close()
}
