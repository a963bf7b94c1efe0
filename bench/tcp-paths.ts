// What TCP carries over paths of a certain rate, delay and loss, in virtual time: the same figures on every machine.

import type { Faults } from '../src/link/faults.ts'
import type { StackOptions } from '../src/stack.ts'
import { FixedWindow } from '../src/tcp/congestion.ts'
import { millis, seconds } from '../src/time.ts'
import type { Bench, Bound, Figure } from './figure.ts'
import { Flow, TcpPair, type TcpPairOptions } from './tcp-pair.ts'
import { median } from './timing.ts'

const GIGABIT = 1e9
const ROUND_TRIPS = [10, 50, 100]
const LOSSES = [0, 0.001, 0.01, 0.05]
/** Virtual seconds of one transfer, slow start included. */
const TRANSFER = seconds(10)
/** Of each cell with loss: which packets are lost decides much. */
const SEEDS = [1, 2, 3]
/** A buffer of 32 KiB at a round trip of 100 ms: loss, and the published bytes a second of smoltcp without congestion control. */
const SMALL_BUFFER = 32 * 1_024
const SMALL_BUFFER_LEAST = [
  [0.01, 219_671],
  [0.05, 76_627],
  [0.1, 37_775],
] as const
const SMALL_BUFFER_TRANSFER = seconds(120)
const FILLED = 500e6
/** Of what a path carries, headers taken off, what is left after slow start. */
const LEAST_FILLED = 0.9
const LEAST_REORDERED = 0.98

export const tcpPathsBench: Bench = {
  name: 'tcp-paths',
  summary: 'goodput by round trip and loss, in virtual time',
  run: () => ({
    figures: [...bigPaths(), filled(), ...smallBuffers(), ...reordered()],
    notes: [
      `Transfers of ${TRANSFER / 1e6} virtual seconds at 1 Gbit/s, slow start included, MTU 1,500, a queue of 1,000 packets; with loss the median of ${SEEDS.length} seeds. Loss is of data, in one direction.`,
      'Default options but where said otherwise: CUBIC, SACK, time stamps, buffers that tune themselves up to 6 MiB.',
      `32 KiB: both socket buffers of that size, congestion control fixed at it, round trip 100 ms, ${SMALL_BUFFER_TRANSFER / 1e6} s. The bounds are the published figures of smoltcp without congestion control.`,
      'reordered: one packet in ten is held back for a quarter of the round trip, against none; 100 Mbit/s, round trip 40 ms.',
    ],
    skipped: '',
  }),
}

interface Path extends TcpPairOptions {
  readonly roundTripMillis: number
  readonly seconds?: number
}

/** Bits a second of one transfer from its first byte on. */
function goodput({ roundTripMillis, ...path }: Path, length = TRANSFER): number {
  const pair = new TcpPair({ delay: millis(roundTripMillis / 2), bitsPerSecond: GIGABIT, ...path })
  try {
    return new Flow(pair, pair.connect()).goodput(length)
  } finally {
    pair.close()
  }
}

const withLoss = (loss: number): { faults?: Faults } => (loss === 0 ? {} : { faults: { outbound: { loss } } })
const percent = (loss: number): string => `${loss * 100} %`

function bigPaths(): Figure[] {
  return ROUND_TRIPS.flatMap((roundTripMillis) =>
    LOSSES.map((loss): Figure => {
      const seeds = loss === 0 ? [1] : SEEDS
      const rates = seeds.map((seed) => goodput({ roundTripMillis, seed, ...withLoss(loss) }))
      const bound: { bound?: Bound } = roundTripMillis === 50 && loss === 0 ? { bound: { atLeast: FILLED / 1e6 } } : {}
      return {
        what: `round trip ${roundTripMillis} ms, loss ${percent(loss)}`,
        value: median(rates) / 1e6,
        unit: 'Mbit/s',
        ...bound,
      }
    }),
  )
}

function filled(): Figure {
  const rate = goodput({ roundTripMillis: 50, bitsPerSecond: FILLED })
  const bound = { atLeast: (LEAST_FILLED * FILLED) / 1e6 }
  return { what: 'a line of 500 Mbit/s, round trip 50 ms', value: rate / 1e6, unit: 'Mbit/s', bound }
}

function smallBuffers(): Figure[] {
  const connection = { receiveBytes: SMALL_BUFFER, sendBytes: SMALL_BUFFER }
  const tcp: StackOptions['tcp'] = { congestionControl: () => new FixedWindow(SMALL_BUFFER) }
  return SMALL_BUFFER_LEAST.map(([loss, least]) => {
    const path = { roundTripMillis: 100, connection, tcp, ...withLoss(loss) }
    const rates = SEEDS.map((seed) => goodput({ ...path, seed }, SMALL_BUFFER_TRANSFER))
    const value = median(rates) / 8
    return { what: `32 KiB, fixed, loss ${percent(loss)}`, value, unit: 'bytes/s', bound: { atLeast: least } }
  })
}

function reordered(): Figure[] {
  const path = { roundTripMillis: 40, bitsPerSecond: 100e6 }
  const faults = { outbound: { reorder: 0.1, reorderDelay: millis(path.roundTripMillis / 4) } }
  const none = goodput(path)
  const some = goodput({ ...path, faults })
  return [
    { what: '100 Mbit/s, round trip 40 ms, in order', value: none / 1e6, unit: 'Mbit/s' },
    { what: 'one packet in ten 10 ms late', value: some / 1e6, unit: 'Mbit/s' },
    { what: 'reordered to in order', value: some / none, unit: '×', bound: { atLeast: LEAST_REORDERED } },
  ]
}
