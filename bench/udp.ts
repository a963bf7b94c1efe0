// Datagrams per second between hosts in memory, all in this one thread: sender, links and receiver together.

import type { Bench, Figure, Result } from './figure.ts'
import { BATCH, Pair, type Shape } from './pair.ts'
import { race } from './timing.ts'

const SHAPES: readonly [Shape, string][] = [
  ['cable', 'two hosts and a cable'],
  ['router', 'two hosts and a router between'],
  ['loopback', 'one host, loopback'],
]
const LEAST_PER_SECOND = 300_000
const SIZES = [64, 1_400]

export const udpBench: Bench = {
  name: 'udp',
  summary: 'datagrams per second between hosts in memory',
  run: udp,
}

function udp(): Result {
  const pairs = SHAPES.flatMap(([shape, what]) =>
    SIZES.map((size) => ({ shape, size, what, pair: new Pair(shape), payloads: [new Uint8Array(size).fill(0x5a)] })),
  )
  const times = race(
    pairs.map(({ shape, size, pair, payloads }) => ({
      name: `${shape} ${size}`,
      run(count) {
        const whole = count * BATCH
        if (pair.exchange(payloads, whole) !== whole) throw new Error(`datagrams were lost (${shape}, ${size})`)
        return whole
      },
    })),
    { rounds: 15, roundMillis: 60, warmupMillis: 500 },
  )
  const figures = pairs.map(({ shape, size, what }): Figure => {
    const value = (BATCH * 1e9) / times.get(`${shape} ${size}`)!
    const figure = { what: `${what}, ${size.toLocaleString('en-US')} bytes`, value, unit: 'per second' }
    return shape === 'cable' && size === 64 ? { ...figure, bound: { atLeast: LEAST_PER_SECOND } } : figure
  })
  for (const { pair } of pairs) pair.close()
  return {
    figures,
    notes: [
      `UdpSocket.send to UdpSocket.receiveInto, ${BATCH} datagrams between two polls; no delay, no limit of rate; checksums computed and checked on the cables, not on loopback.`,
      'Every datagram is counted at the receiver: a lost one would end the bench.',
    ],
    skipped: '',
  }
}
