// Bulk transfers between two stacks in this process, beside node:net over the kernel's loopback in this process too.

import system from 'node:net'
import type { Offloads } from '../src/link/device.ts'
import type { Bench, Figure, Result } from './figure.ts'
import { netBulk } from './net-bulk.ts'
import { CHUNK, Flow, TcpPair, type TcpPairOptions } from './tcp-pair.ts'
import { gigabits, gigabitsByProcessor, inTurns, median, type Runner } from './timing.ts'

const TURNS = { rounds: 9, roundMillis: 250, warmupMillis: 1_000 }
const LEAST_GIGABITS = 4
const LEAST_RATIO = 0.22
const LEAST_SUPER_RATIO = 1
const SUPER: Offloads = { checksum: true, segmentBytes: 65_536 }
/**
 * A line without a limit of rate lets buffers that tune themselves grow to all they may be, 6 MiB, and then each byte
 * has left the cache before it is looked at again.
 */
const BUFFERS = { receiveBytes: 512 * 1_024, sendBytes: 1_024 * 1_024 }

export const tcpBench: Bench = {
  name: 'tcp',
  summary: 'bulk between two stacks in one process, beside node:net over loopback',
  run: tcp,
}

async function tcp(): Promise<Result> {
  const contestants = [
    inMemory('MTU 1,500, every checksum', { mtu: 1_500, connection: BUFFERS }),
    inMemory('MTU 9,000, every checksum', { mtu: 9_000, connection: BUFFERS }),
    inMemory('MTU 1,500, super-segments', { mtu: 1_500, connection: BUFFERS, offloads: SUPER }),
    inMemory('MTU 1,500, every checksum, default buffers', { mtu: 1_500 }),
    await netBulk(system, 'node:net over the kernel’s loopback', 'onread'),
  ]
  const rounds = await inTurns(contestants, TURNS)
  const rates = rounds.map((all) => all.map(gigabits))
  const byProcessor = rounds.map((all) => all.map(gigabitsByProcessor))
  const kernel = rates.at(-1)!
  const ratio = (index: number): number => median(rates[index]!.map((rate, round) => rate / kernel[round]!))
  return {
    figures: [
      ...contestants.map(({ name }, index): Figure => {
        const bound = index === 0 ? { bound: { atLeast: LEAST_GIGABITS } } : {}
        return { what: name, value: median(rates[index]!), unit: 'Gbit/s', ...bound }
      }),
      { what: `${contestants[0]!.name}, by processor time`, value: median(byProcessor[0]!), unit: 'Gbit/s' },
      { what: 'node:net, by processor time', value: median(byProcessor.at(-1)!), unit: 'Gbit/s' },
      { what: 'MTU 1,500 to node:net', value: ratio(0), unit: '×', bound: { atLeast: LEAST_RATIO } },
      { what: 'MTU 9,000 to node:net', value: ratio(1), unit: '×' },
      { what: 'super-segments to node:net', value: ratio(2), unit: '×', bound: { atLeast: LEAST_SUPER_RATIO } },
      { what: 'MTU 1,500, default buffers, to node:net', value: ratio(3), unit: '×' },
    ],
    notes: [
      `Writes and reads of ${CHUNK.toLocaleString('en-US')} bytes, both ends and all between in one thread; ${TURNS.rounds} rounds of ${TURNS.roundMillis} ms in turns; ratios are medians of the rounds' ratios.`,
      'Over the cable each segment has its checksum computed by the sender and verified by the receiver; with super-segments nobody does, as on the kernel’s loopback.',
      'Socket buffers of 512 KiB; default ones tune themselves, and on a line without a limit of rate they grow to 6 MiB, more than the cache holds.',
      'By processor time: what a whole core would carry. Where others want the cores too, it and the ratios say more than what the clock on the wall gives.',
      'node:net reads into one array of its own (onread), which is its fastest way.',
    ],
    skipped: '',
  }
}

function inMemory(name: string, options: TcpPairOptions): Runner {
  const pair = new TcpPair(options)
  const ends = pair.connect()
  const flow = new Flow(pair, ends)
  return {
    name,
    run(millis) {
      const start = performance.now()
      const before = flow.arrived
      let turns = 0
      flow.run(() => (++turns & 15) === 0 && performance.now() - start >= millis)
      flow.finish()
      return flow.arrived - before
    },
    close() {
      const { from, to } = pair
      if (from.counters.TcpRetransSegs !== 0) throw new Error(`segments were sent again (${name})`)
      if (to.counters.TcpInErrs !== 0) throw new Error(`segments were dropped (${name})`)
      pair.closeAll([ends])
      pair.close()
    },
  }
}
