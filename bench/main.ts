// `npm run bench -- [NAME...] [--json]`: runs the named benches, or all of them, and prints their figures. Each runs in
// a process of its own, so that none compiles its code under the influence of another.
//
// Exit codes: 0 all bounds are met, 1 one is missed, 2 usage, 3 a bench could not be run, 130 interrupted.

import { spawn } from 'node:child_process'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { buffersBench } from './buffers.ts'
import { checksumBench } from './checksum.ts'
import { duplexBench } from './duplex.ts'
import { type Bench, isMet, type Result, table } from './figure.ts'
import { framesBench } from './frames.ts'
import { httpBench } from './http.ts'
import { memoryBench } from './memory.ts'
import { packetsBench } from './packets.ts'
import { tapBench } from './tap.ts'
import { tcpBench } from './tcp.ts'
import { tcpConnectionsBench } from './tcp-connections.ts'
import { tcpPathsBench } from './tcp-paths.ts'
import { tcpTapBench } from './tcp-tap.ts'
import { udpBench } from './udp.ts'

const BENCHES: readonly Bench[] = [
  checksumBench,
  buffersBench,
  packetsBench,
  udpBench,
  memoryBench,
  tapBench,
  framesBench,
  tcpBench,
  tcpTapBench,
  tcpPathsBench,
  tcpConnectionsBench,
  duplexBench,
  httpBench,
]
const EXIT_OK = 0
const EXIT_MISSED = 1
const EXIT_USAGE = 2
const EXIT_ENVIRONMENT = 3
const EXIT_INTERRUPTED = 130
/** Before the name of the bench that a child is to run; its result goes to standard output as JSON. */
const CHILD = '--child'
const GIBIBYTE = 1_024 ** 3

async function main(words: readonly string[]): Promise<number> {
  if (words[0] === CHILD) {
    const bench = BENCHES.find(({ name }) => name === words[1])
    if (bench === undefined) return EXIT_USAGE
    const result = await bench.run()
    process.stdout.write(JSON.stringify(result))
    return EXIT_OK
  }
  const json = words.includes('--json')
  const names = words.filter((word) => word !== '--json')
  if (names.includes('--help') || names.includes('-h')) {
    print(usage())
    return EXIT_OK
  }
  const unknown = names.find((word) => !BENCHES.some(({ name }) => name === word))
  if (unknown !== undefined) {
    process.stderr.write(`bench: '${unknown}' is not a bench\n${usage()}\n`)
    return EXIT_USAGE
  }
  const chosen = names.length === 0 ? BENCHES : BENCHES.filter(({ name }) => names.includes(name))
  return runAll(chosen, json)
}

async function runAll(benches: readonly Bench[], json: boolean): Promise<number> {
  const about = machine()
  if (!json) {
    print(`${about.cpu}, ${about.cores} cores, ${about.memoryGib} GiB, Linux ${about.kernel}, Node ${about.node}`)
    print(
      `load before: ${about.load}${about.load >= 0.5 ? ' (the machine has other work: take ratios, not times)' : ''}`,
    )
  }
  const done: object[] = []
  let code = EXIT_OK
  for (const { name, summary } of benches) {
    const result = await runApart(name)
    if (result === null) {
      code = EXIT_ENVIRONMENT
      done.push({ name, failed: true })
      continue
    }
    const figures = result.figures.map((figure) => ({ ...figure, met: isMet(figure) }))
    if (code === EXIT_OK && figures.some(({ met }) => met === false)) code = EXIT_MISSED
    done.push({ name, ...result, figures })
    if (!json) show(name, summary, result)
    else if (result.skipped !== '') process.stderr.write(`bench: SKIPPED ${name}: ${result.skipped}\n`)
  }
  if (json) print(JSON.stringify({ machine: about, benches: done }, null, 2))
  return code
}

function show(name: string, summary: string, result: Result): void {
  print(`\n${name}: ${summary}`)
  if (result.skipped !== '') print(`  *** SKIPPED: ${result.skipped} ***`)
  for (const line of table(result.figures)) print(line)
  for (const note of result.notes) print(`  - ${note}`)
}

/** Null: it failed, and said why on standard error. */
function runApart(name: string): Promise<Result | null> {
  return new Promise((resolve) => {
    const file = fileURLToPath(import.meta.url)
    const child = spawn(process.execPath, [...process.execArgv, '--expose-gc', file, CHILD, name], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const onSignal = (): void => {
      child.kill('SIGTERM')
      child.once('close', () => process.exit(EXIT_INTERRUPTED))
    }
    process.once('SIGINT', onSignal)
    process.once('SIGTERM', onSignal)
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    child.once('error', () => resolve(null))
    child.once('close', (code) => {
      process.removeListener('SIGINT', onSignal)
      process.removeListener('SIGTERM', onSignal)
      resolve(code === 0 ? (JSON.parse(text) as Result) : null)
    })
  })
}

interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGib: number
  readonly kernel: string
  readonly node: string
  /** What else it was doing: runnable processes over the last minute. */
  readonly load: number
}

function machine(): Machine {
  const processors = cpus()
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown processor',
    cores: processors.length,
    memoryGib: Math.round(totalmem() / GIBIBYTE),
    kernel: release(),
    node: process.versions.node,
    load: Math.round(loadavg()[0]! * 10) / 10,
  }
}

function usage(): string {
  const width = Math.max(...BENCHES.map(({ name }) => name.length))
  const list = BENCHES.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`)
  return ['usage: npm run bench -- [NAME...] [--json]', ...list].join('\n')
}

const print = (line: string): void => void process.stdout.write(`${line}\n`)

process.exitCode = await main(process.argv.slice(2))
