// Bulk over a TAP device between our stack and a program of node:net in the kernel's care, both ways, beside the same
// program with node:net over veth, in turns.

import { fileURLToPath } from 'node:url'
import { type Bench, type Figure, type Result, skip } from './figure.ts'
import { Sandbox, whyNoSandbox } from './sandbox.ts'
import { median } from './timing.ts'

const ROUNDS = 7
const LEAST_RATIO = 0.5
const KERNEL_OVER_VETH = '10.99.0.1'
const KERNEL_OVER_TAP = '10.98.0.1'

type Stack = 'ours' | 'node'
type Direction = 'send' | 'take'

export const tcpTapBench: Bench = {
  name: 'tcp-tap',
  summary: 'bulk over TAP both ways, beside node:net over veth',
  async run() {
    const why = whyNoSandbox([])
    return why === '' ? Sandbox.with(overTap) : skip(why)
  },
}

async function overTap(sandbox: Sandbox): Promise<Result> {
  const kernel = sandbox.namespace()
  const other = sandbox.namespace()
  sandbox.run(kernel, `ip link add v0 type veth peer name v1 netns ${other}`)
  sandbox.run(kernel, `ip addr add ${KERNEL_OVER_VETH}/24 dev v0`)
  sandbox.run(kernel, 'ip link set v0 up')
  sandbox.run(other, 'ip addr add 10.99.0.2/24 dev v1')
  sandbox.run(other, 'ip link set v1 up')
  const figures: Figure[] = []
  for (const direction of ['send', 'take'] as const) {
    const ours: number[] = []
    const node: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      ours.push(await once(sandbox, kernel, kernel, 'ours', direction))
      node.push(await once(sandbox, kernel, other, 'node', direction))
    }
    const ratio = median(ours.map((rate, round) => rate / node[round]!))
    const way = direction === 'send' ? 'out' : 'in'
    figures.push({ what: `hourglass over TAP, ${way}`, value: median(ours), unit: 'Gbit/s' })
    figures.push({ what: `node:net over veth, ${way}`, value: median(node), unit: 'Gbit/s' })
    figures.push({ what: `hourglass to node:net, ${way}`, value: ratio, unit: '×', bound: { atLeast: LEAST_RATIO } })
  }
  return {
    figures,
    notes: [
      `Two processes, ${ROUNDS} runs of a second each in turns: out to, and in from, a program of node:net in a namespace of its own; counted by who takes. Ratios are medians of the rounds' ratios.`,
      'Offloads are on, as they are by default; veth has its own.',
    ],
    skipped: '',
  }
}

/** Gigabits a second. */
async function once(
  sandbox: Sandbox,
  kernel: string,
  from: string,
  stack: Stack,
  direction: Direction,
): Promise<number> {
  const peer = sandbox.start(kernel, [process.execPath, script('tcp-peer'), direction === 'send' ? 'take' : 'give'])
  await peer.says('listening')
  const address = stack === 'ours' ? KERNEL_OVER_TAP : KERNEL_OVER_VETH
  const host = sandbox.start(from, [process.execPath, script('tcp-host'), stack, direction, address])
  const taker = direction === 'send' ? peer : host
  await taker.says('}\n')
  await host.ended
  await peer.stop()
  const line = taker
    .output()
    .split('\n')
    .find((one) => one.startsWith('{'))
  return ((JSON.parse(line!) as { bytesPerSecond: number }).bytesPerSecond * 8) / 1e9
}

const script = (name: string): string => fileURLToPath(new URL(`./${name}.js`, import.meta.url))
