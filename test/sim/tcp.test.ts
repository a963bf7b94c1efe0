// Seeded transfers over bad networks for half a minute, and what a clean or a merely disordered path must carry.

import { describe, expect, test } from 'vitest'
import type { FaultOptions } from '../../src/link/fault-options.ts'
import { settle } from '../../src/node/settle.ts'
import { World } from '../../src/sim/world.ts'
import { TcpListener } from '../../src/socket/tcp-listener.ts'
import { TcpSocket } from '../../src/socket/tcp-socket.ts'
import type { StackOptions } from '../../src/stack.ts'
import { millis, seconds } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { testPool } from '../support/pool.ts'
import { transfer } from './transfer.ts'

const SECONDS = 30
const FIRST_SEED = 1_000_000

test('bytes in are bytes out, over half a minute of bad networks, one seed each', { timeout: 120_000 }, async () => {
  const until = performance.now() + SECONDS * 1_000
  let transfers = 0
  let retransmitted = 0
  while (performance.now() < until || transfers < 50) {
    const outcome = await transfer(FIRST_SEED + transfers)
    retransmitted += outcome.retransmitted
    transfers++
  }
  expect(retransmitted).toBeGreaterThan(transfers / 10)
})

test('the same seed gives the same transfer (the seed of a failure repeats it)', async () => {
  expect(await transfer(4_711)).toEqual(await transfer(4_711))
})

interface Path {
  readonly bytes: number
  readonly bitsPerSecond: number
  /** One way. */
  readonly delay: number
  readonly faults?: Partial<FaultOptions>
  readonly tcp?: StackOptions['tcp']
  readonly queuePackets?: number
}

/** Bits a second of one bulk transfer, connecting included. */
async function goodput(path: Path): Promise<number> {
  const pool = testPool({ trace: false })
  const world = new World({ seed: 7, settle, pool })
  const [a, b] = ['a', 'b'].map((name) => world.host(name, path.tcp === undefined ? {} : { tcp: path.tcp }))
  const { bitsPerSecond, queuePackets = 1_000 } = path
  const cable = world.cable({ delay: millis(path.delay), bitsPerSecond, queuePackets })
  world.attach(a!, cable.a, { addresses: ['10.0.0.1/24'], linkLocal: false, faults: { outbound: path.faults ?? {} } })
  world.attach(b!, cable.b, { addresses: ['10.0.0.2/24'], linkLocal: false })
  const listener = new TcpListener(b!, { family: 4, port: 80 })
  const serve = listener.accept().then(async (socket) => {
    const target = new Uint8Array(65_536)
    while ((await socket.read(target)) > 0);
    socket.close()
  })
  const ask = TcpSocket.connect(a!, { remoteAddress: IpAddress.from('10.0.0.2'), remotePort: 80 }).then(
    async (socket) => {
      await socket.write(new Uint8Array(path.bytes))
      socket.close()
    },
  )
  const begin = world.now
  await world.run(Promise.all([serve, ask]))
  const took = (world.now - begin) / 1_000_000
  world.close()
  return (path.bytes * 8) / took
}

describe('goodput', () => {
  test('a clean path of 100 Mbit/s and 20 ms is filled to nine tenths after slow start', async () => {
    expect(await goodput({ bytes: 40_000_000, bitsPerSecond: 100_000_000, delay: 10 })).toBeGreaterThan(90_000_000)
  })

  test('a clean path of 500 Mbit/s and 50 ms is filled to eight tenths, slow start included', async () => {
    expect(await goodput({ bytes: 300_000_000, bitsPerSecond: 500_000_000, delay: 25 })).toBeGreaterThan(400_000_000)
  })

  test.each([
    ['with SACK and time stamps', {}],
    ['without time stamps: by D-SACK alone (RFC 3708)', { timestamps: false }],
  ])('reordering within a quarter of the round trip costs less than a tenth, %s', async (_, config) => {
    const path = { bytes: 20_000_000, bitsPerSecond: 100_000_000, delay: 10, tcp: { config } }
    const straight = await goodput(path)
    const disordered = await goodput({ ...path, faults: { reorder: 0.02, reorderDelay: millis(5) } })
    expect(disordered).toBeGreaterThan(0.9 * straight)
  })

  test('1% loss at 10 ms leaves what CUBIC gives (RFC 9438 §5.1: the Reno-friendly rate)', async () => {
    const rate = await goodput({
      bytes: 10_000_000,
      bitsPerSecond: 1_000_000_000,
      delay: 5,
      faults: { loss: 0.01 },
    })
    // sqrt(3 / 2p) segments in a round trip.
    expect(rate).toBeGreaterThan((0.9 * Math.sqrt(1.5 / 0.01) * 1_448 * 8) / 0.01)
  })

  test('a connection without SACK survives 1% loss (RFC 6582)', async () => {
    const rate = await goodput({
      bytes: 4_000_000,
      bitsPerSecond: 1_000_000_000,
      delay: 5,
      faults: { loss: 0.01 },
      tcp: { config: { sack: false } },
    })
    expect(rate).toBeGreaterThan(5_000_000)
  })
})

test('a connection ends in time although the path was cut for good (ETIMEDOUT)', async () => {
  const pool = testPool()
  const world = new World({ seed: 3, settle, pool })
  const config = { dataRetries: 4 }
  const a = world.host('a', { tcp: { config } })
  const b = world.host('b', { tcp: { config } })
  const cable = world.cable({ delay: millis(5) })
  world.attach(a, cable.a, { addresses: ['10.0.0.1/24'], linkLocal: false })
  world.attach(b, cable.b, { addresses: ['10.0.0.2/24'], linkLocal: false })
  const listener = new TcpListener(b, { family: 4, port: 80 })
  const accepted = listener.accept()
  const socket = await world.run(TcpSocket.connect(a, { remoteAddress: IpAddress.from('10.0.0.2'), remotePort: 80 }))
  await world.run(accepted)
  cable.cut()
  await socket.write(new Uint8Array(100))
  const reading = socket.read(new Uint8Array(1)).catch((error: { code: string }) => error.code)
  expect(['ETIMEDOUT', 'EHOSTUNREACH']).toContain(await world.run(reading, seconds(600)))
  world.close()
})
