// Requests a second that wrk(1) gets from node:http on a host of ours, on the other side of a TAP device, beside the same
// server on the kernel over veth, in turns.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Bench, type Figure, type Result, skip } from './figure.ts'
import { type Program, Sandbox, whyNoSandbox } from './sandbox.ts'
import { processorMillis } from './tap.ts'
import { median } from './timing.ts'

const ROUNDS = 7
const LEAST_RATIO = 0.7
const KERNEL = '10.99.0.2'
const OURS = '10.98.0.2'
const PORT = 8_080
const CONNECTIONS = [1, 64, 512]
/** wrk(1) takes whole seconds. */
const SECONDS = 1

interface Kind {
  readonly name: string
  readonly connections: number
  readonly words: readonly string[]
}

const KINDS: readonly Kind[] = [
  ...CONNECTIONS.map((connections) => ({ name: `${connections} kept alive`, connections, words: [] })),
  ...CONNECTIONS.map((connections) => ({
    name: `${connections} at once, one request each`,
    connections,
    words: ['-H', 'Connection: close'],
  })),
]

export const httpBench: Bench = {
  name: 'http',
  summary: 'node:http over TAP for wrk, beside node:http on the kernel over veth',
  async run() {
    const why = whyNoSandbox([])
    if (why !== '') return skip(why)
    if (spawnSync('wrk', ['-v']).error !== undefined) return skip('wrk is not installed')
    return Sandbox.with(http)
  },
}

async function http(sandbox: Sandbox): Promise<Result> {
  const client = sandbox.namespace()
  const kernel = sandbox.namespace()
  sandbox.run(client, `ip link add v0 type veth peer name v1 netns ${kernel}`)
  sandbox.run(client, 'ip addr add 10.99.0.1/24 dev v0')
  sandbox.run(client, 'ip link set v0 up')
  sandbox.run(kernel, `ip addr add ${KERNEL}/24 dev v1`)
  sandbox.run(kernel, 'ip link set v1 up')
  // Who asks anew for each request leaves its ports in TIME-WAIT: all of them are there for it, and come back soon.
  for (const setting of ['tcp_tw_reuse=1', 'ip_local_port_range=1024\t65535']) {
    sandbox.run(client, `sysctl -qw net.ipv4.${setting}`)
  }
  const ours = sandbox.start(client, [process.execPath, script('http-host'), 'ours'])
  const nodes = sandbox.start(kernel, [process.execPath, script('http-host'), 'node'])
  await Promise.all([ours.says('listening'), nodes.says('listening')])
  const figures: Figure[] = []
  for (const kind of KINDS) figures.push(...(await compare(sandbox, client, [ours, nodes], kind)))
  for (const server of [ours, nodes]) await server.stop()
  return {
    figures,
    notes: [
      `A thread of wrk(1) and a process of Node, ${ROUNDS} runs of ${SECONDS} s each in turns after one that does not count; a response of 100 bytes. Ratios are medians of the rounds' ratios.`,
      'Both servers are node:http with the same listener; ours gets its connections from host.net by the event `connection`.',
      'By processor time: what a core of its own would carry, all threads of the server counted; spinning counts, too.',
    ],
    skipped: '',
  }
}

async function compare(
  sandbox: Sandbox,
  client: string,
  [ours, nodes]: readonly [Program, Program],
  kind: Kind,
): Promise<Figure[]> {
  const mine: Load[] = []
  const kernels: Load[] = []
  for (let round = -1; round < ROUNDS; round++) {
    const pair = [await load(sandbox, client, OURS, ours, kind), await load(sandbox, client, KERNEL, nodes, kind)]
    if (round < 0) continue
    mine.push(pair[0]!)
    kernels.push(pair[1]!)
  }
  const ratio = median(mine.map(({ rate }, round) => rate / kernels[round]!.rate))
  const byProcessor = median(mine.map(({ micros }, round) => kernels[round]!.micros / micros))
  return [
    { what: `${kind.name}, hourglass over TAP`, value: median(mine.map(({ rate }) => rate)), unit: 'requests/s' },
    { what: `${kind.name}, kernel over veth`, value: median(kernels.map(({ rate }) => rate)), unit: 'requests/s' },
    { what: `${kind.name}, ratio`, value: ratio, unit: '×', bound: { atLeast: LEAST_RATIO } },
    { what: `${kind.name}, ratio by processor time of the server`, value: byProcessor, unit: '×' },
  ]
}

interface Load {
  /** Requests a second. */
  readonly rate: number
  /** Processor time of the server for each, microseconds. */
  readonly micros: number
}

/** Throws where a request failed. */
async function load(
  sandbox: Sandbox,
  client: string,
  address: string,
  server: Program,
  { connections, words }: Kind,
): Promise<Load> {
  const shape = ['-t', '1', '-c', String(connections), '-d', `${SECONDS}s`, ...words]
  const before = processorMillis(server.pid)
  const wrk = sandbox.start(client, ['wrk', ...shape, `http://${address}:${PORT}/`])
  const text = await wrk.ended
  const used = processorMillis(server.pid) - before
  const rate = Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1])
  const count = Number(/(\d+) requests in/.exec(text)?.[1])
  if (!(rate > 0) || /Socket errors|Non-2xx/.test(text)) throw new Error(`wrk ${words.join(' ')} failed:\n${text}`)
  return { rate, micros: (used * 1_000) / count }
}

const script = (name: string): string => fileURLToPath(new URL(`./${name}.js`, import.meta.url))
