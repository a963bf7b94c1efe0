// The round trip of a ping to `hourglass up` over TAP, beside the kernel's own over veth, in turns; and what the host
// costs while nothing happens.

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { type Bench, type Figure, type Result, skip } from './figure.ts'
import { type Program, Sandbox, whyNoSandbox } from './sandbox.ts'
import { median } from './timing.ts'

const ROUNDS = 7
const RATIO_LIMIT = 2.5
const ALL_CORES = `0-${cpus().length - 1}`
const HAS_TASKSET = spawnSync('taskset', ['-V']).error === undefined
const IDLE_SECONDS = 5
const IDLE_PERCENT_LIMIT = 1
const KERNEL = '10.99.0.2'
const OURS = '10.98.0.2'

interface Kind {
  readonly name: string
  readonly words: string
  readonly bound: boolean
  /** The cores that they are made to run on; null: wherever the scheduler puts them. */
  readonly cores: { readonly host: number; readonly ping: number } | null
}

/** How ping sends: adaptive is a flood whose every answer is printed; the pause shows the way through sleep. */
const KINDS: readonly Kind[] = [
  { name: 'adaptive', words: '-A -c 3000', bound: true, cores: null },
  { name: 'adaptive, a core each', words: '-A -c 3000', bound: false, cores: { host: 0, ping: 1 } },
  { name: 'flood', words: '-f -q -c 3000', bound: false, cores: null },
  { name: 'every ms', words: '-i 0.001 -c 1000', bound: false, cores: null },
  { name: 'every ms, on one core', words: '-i 0.001 -c 1000', bound: false, cores: { host: 0, ping: 0 } },
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
  const figures = KINDS.flatMap((kind) => compare(sandbox, inside, kind, up.pid))
  figures.push(await idle(up))
  await up.stop()
  return {
    figures,
    notes: [
      `${ROUNDS} runs of ping(8) each, in turns: the median of the runs' medians. ping -f prints no times of single packets, so its own average is taken.`,
      'adaptive (-A) sends the next when the answer is there, as -f does, and prints every time: spinning. Every ms the host has gone to sleep in between and must be woken, which costs more on another core than on that of ping; the kernel over veth wakes nobody. The bound is on the flood’s median; -f prints an average only, so -A carries it.',
      `idle: time on the processor of all threads of hourglass up over ${IDLE_SECONDS} s without packets of ours.`,
    ],
    skipped: '',
  }
}

/** Runs of ping against the kernel and against us, in turns. */
function compare(sandbox: Sandbox, namespace: string, { name, words, bound, cores }: Kind, pid: number): Figure[] {
  if (cores !== null && (!HAS_TASKSET || cpus().length < 2)) return []
  if (HAS_TASKSET) sandbox.run(namespace, `taskset -a -c -p ${cores?.host ?? ALL_CORES} ${pid}`)
  const ping = cores === null ? 'ping' : `taskset -c ${cores.ping} ping`
  const kernel: number[] = []
  const ours: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    kernel.push(roundTrip(sandbox, namespace, `${ping} ${words} ${KERNEL}`))
    ours.push(roundTrip(sandbox, namespace, `${ping} ${words} ${OURS}`))
  }
  const ratio = median(ours) / median(kernel)
  const limit = bound ? { bound: { atMost: RATIO_LIMIT } } : {}
  const average = words.includes('-q') ? ' (average)' : ''
  return [
    { what: `ping ${name}, kernel over veth${average}`, value: median(kernel), unit: 'µs' },
    { what: `ping ${name}, hourglass over TAP${average}`, value: median(ours), unit: 'µs' },
    { what: `ping ${name}, ratio`, value: ratio, unit: '×', ...limit },
  ]
}

/** The median of one run in microseconds, or the average where ping tells no more. Throws where an answer is missing. */
function roundTrip(sandbox: Sandbox, namespace: string, words: string): number {
  const text = sandbox.run(namespace, words)
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
