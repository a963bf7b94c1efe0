// The round trip of a ping to `hourglass up` over TAP, beside the kernel's own over veth, in turns; and what the host
// costs while nothing happens.

import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Bench, type Figure, type Result, skip } from './figure.ts'
import { type Program, Sandbox, whyNoSandbox } from './sandbox.ts'
import { median } from './timing.ts'

const ROUNDS = 5
const RATIO_LIMIT = 2.5
const IDLE_SECONDS = 5
const IDLE_PERCENT_LIMIT = 1
const KERNEL = '10.99.0.2'
const OURS = '10.98.0.2'

/** How ping sends: adaptive is a flood whose every answer is printed; the pause shows the way through sleep. */
const KINDS = [
  { name: 'adaptive', words: '-A -c 3000', bound: true },
  { name: 'flood', words: '-f -q -c 3000', bound: false },
  { name: 'every millisecond', words: '-i 0.001 -c 1000', bound: true },
]

export const tapBench: Bench = {
  name: 'tap',
  summary: 'ping over TAP beside the kernel over veth, and idle CPU',
  async run() {
    const why = whyNoSandbox(['ping'])
    return why === '' ? Sandbox.with(tap) : skip(why)
  },
}

async function tap(sandbox: Sandbox): Promise<Result> {
  const inside = sandbox.namespace()
  const outside = sandbox.namespace()
  sandbox.run(inside, `ip link add v0 type veth peer name v1 netns ${outside}`)
  sandbox.run(inside, 'ip addr add 10.99.0.1/24 dev v0')
  sandbox.run(inside, 'ip link set v0 up')
  sandbox.run(outside, `ip addr add ${KERNEL}/24 dev v1`)
  sandbox.run(outside, 'ip link set v1 up')
  const main = fileURLToPath(new URL('../src/cli/main.js', import.meta.url))
  const link = ['--link', 'tap:hgb0', '--address', `${OURS}/24`, '--os-address', '10.98.0.1/24']
  const up = sandbox.start(inside, [process.execPath, main, 'up', ...link])
  await up.says('ready')
  for (const address of [KERNEL, OURS]) sandbox.run(inside, `ping -A -q -c 2000 ${address}`)
  const figures: Figure[] = []
  for (const { name, words, bound } of KINDS) {
    const kernel: number[] = []
    const ours: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      kernel.push(roundTrip(sandbox, inside, words, KERNEL))
      ours.push(roundTrip(sandbox, inside, words, OURS))
    }
    const ratio = median(ours) / median(kernel)
    const limit = bound ? { bound: { atMost: RATIO_LIMIT } } : {}
    const average = words.includes('-q') ? ' (average)' : ''
    figures.push(
      { what: `ping ${name}, kernel over veth${average}`, value: median(kernel), unit: 'µs' },
      { what: `ping ${name}, hourglass over TAP${average}`, value: median(ours), unit: 'µs' },
      { what: `ping ${name}, ratio`, value: ratio, unit: '×', ...limit },
    )
  }
  figures.push(await idle(up))
  await up.stop()
  return {
    figures,
    notes: [
      `${ROUNDS} runs of ping(8) each, in turns: the median of the runs' medians. ping -f prints no times of single packets, so its own average is taken.`,
      'adaptive (-A) sends the next when the answer is there, as -f does, and prints every time: spinning. Every millisecond the host has gone to sleep in between.',
      `idle: time on the processor of all threads of hourglass up over ${IDLE_SECONDS} s without packets of ours.`,
    ],
    skipped: '',
  }
}

/** The median of one run in microseconds, or the average where ping tells no more. Throws where an answer is missing. */
function roundTrip(sandbox: Sandbox, namespace: string, words: string, address: string): number {
  const text = sandbox.run(namespace, `ping ${words} ${address}`)
  if (!/ 0% packet loss/.test(text)) throw new Error(`ping lost packets: ${text.slice(-300)}`)
  if (words.includes('-q')) return Number(/= [\d.]+\/([\d.]+)\//.exec(text)![1]) * 1_000
  return groupedMedian([...text.matchAll(/time=([\d.]+) ms/g)].map((match) => Math.round(Number(match[1]) * 1_000)))
}

/** The median of whole microseconds, taken as spread evenly over each: of times of a few, whole ones would say too little. */
function groupedMedian(values: readonly number[]): number {
  const middle = median(values)
  const below = values.filter((value) => value < Math.round(middle)).length
  const within = values.filter((value) => value === Math.round(middle)).length
  return within === 0 ? middle : Math.round(middle) - 0.5 + (values.length / 2 - below) / within
}

async function idle(up: Program): Promise<Figure> {
  await pause(1_000)
  const start = performance.now()
  const before = processorMillis(up.pid)
  await pause(IDLE_SECONDS * 1_000)
  const used = processorMillis(up.pid) - before
  const percent = (100 * used) / (performance.now() - start)
  return { what: 'hourglass up, idle', value: percent, unit: '% of a core', bound: { atMost: IDLE_PERCENT_LIMIT } }
}

/** /proc/PID/task/N/schedstat begins with the nanoseconds on the processor. */
export function processorMillis(pid: number): number {
  let nanos = 0
  for (const task of readdirSync(`/proc/${pid}/task`))
    nanos += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0])
  return nanos / 1e6
}

const pause = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))
