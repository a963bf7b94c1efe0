// The command as it ships, for tests of it: `dist/src/cli/main.js` in a network namespace, or right here where it needs none.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Finished, Namespace, Running } from './namespace.ts'
import { runTool } from './tools.ts'

const MAIN = resolve('dist/src/cli/main.js')
if (!existsSync(MAIN)) throw new Error(`${MAIN} is not there: npx tsc -b tsconfig.node.json makes it`)

const split = (words: string | readonly string[]): readonly string[] =>
  typeof words === 'string' ? words.split(' ').filter((word) => word !== '') : words

/** Node's own words and ours before those of the command. */
export const command = (words: string | readonly string[], node: readonly string[] = []): string[] => [
  process.execPath,
  ...node,
  MAIN,
  ...split(words),
]

/** A loader that knows no koffi, as where its optional installation failed. */
const HOOKS = `export const resolve = (name, context, next) => {
  if (name === 'koffi') throw Object.assign(new Error("Cannot find package 'koffi'"), { code: 'ERR_MODULE_NOT_FOUND' })
  return next(name, context)
}`
const dataUrl = (code: string): string => `data:text/javascript,${encodeURIComponent(code).replaceAll("'", '%27')}`
export const WITHOUT_KOFFI = [
  '--import',
  dataUrl(`import { register } from 'node:module'; register(${JSON.stringify(dataUrl(HOOKS))})`),
]

/** Runs the command to its end in no namespace of its own: for what touches no network, or loopback only. */
export function hourglass(words: string | readonly string[], environment: Record<string, string> = {}): Finished {
  const [program, ...rest] = command(words) as [string, ...string[]]
  const env = { ...process.env, ...environment }
  const { status, stdout, stderr } = spawnSync(program, rest, { encoding: 'utf8', env, timeout: 60_000 })
  return { code: status ?? -1, stdout, stderr }
}

/** The event that `up --ndjson` prints when it is ready. */
export interface Ready {
  readonly event: 'ready'
  readonly interface: string
  readonly addresses: readonly string[]
  readonly mac: string
  readonly mtu: number
  readonly pid: number
}

/** A host that is up. */
export interface Up {
  readonly running: Running
  readonly ready: Ready
  /** Interrupts it and tells how it ended; `end` is its last event. */
  stop(): Promise<Finished & { readonly end: EndEvent }>
}

export interface EndEvent {
  readonly event: 'end'
  readonly reason: string
  readonly counters: Record<string, number>
  readonly link: { readonly receivedPackets: number; readonly sentPackets: number }
  readonly pagesInUse: number
  readonly captureLosses: number
}

export interface UpOptions {
  readonly launcher?: readonly string[]
  readonly node?: readonly string[]
  readonly environment?: Record<string, string>
}

/** Starts `hourglass up --ndjson` in the namespace and waits until it is ready. */
export async function up(namespace: Namespace, words: string, options: UpOptions = {}): Promise<Up> {
  const all = [...(options.launcher ?? []), ...command(`up --ndjson ${words}`, options.node)]
  const running = namespace.spawn(all, options.environment)
  return whenReady(running)
}

export async function whenReady(running: Running): Promise<Up> {
  const [line] = await running.printed(/^\{"event":"ready".*\}$/m)
  return {
    running,
    ready: JSON.parse(line) as Ready,
    stop: async () => {
      running.child.kill('SIGINT')
      const finished = await running.finished
      return { ...finished, end: endOf(finished.stdout) }
    },
  }
}

export function endOf(stdout: string): EndEvent {
  const line = stdout.split('\n').find((text) => text.startsWith('{"event":"end"'))
  if (line === undefined) throw new Error(`no event 'end' in\n${stdout}`)
  return JSON.parse(line) as EndEvent
}

/** A folder for captures; `path` hands out names, `check` has tshark read all that were written. */
export class Captures {
  private readonly folder = mkdtempSync(join(tmpdir(), 'hourglass-interop-'))
  private readonly paths: string[] = []
  private readonly unfinished = new Set<string>()

  /** `unfinished`: what is written there has checksums that the system leaves to the device, which are not looked at. */
  path(unfinished = false): string {
    const path = join(this.folder, `${this.paths.length}.pcapng`)
    this.paths.push(path)
    if (unfinished) this.unfinished.add(path)
    return path
  }

  /** What tshark finds malformed or with a wrong checksum in all of them: nothing, one hopes. */
  check(): { files: number; packets: number; wrong: string[] } {
    const written = this.paths.filter((path) => existsSync(path))
    const finished = written.filter((path) => !this.unfinished.has(path))
    const rest = written.filter((path) => this.unfinished.has(path))
    let packets = 0
    const wrong: string[] = []
    for (const [paths, options, filter] of [
      [finished, [...BARE, ...CHECKS], WRONG],
      [rest, BARE, MALFORMED],
    ] as const)
      for (const some of batches(paths)) {
        const counts = this.judge(some, options, filter)
        packets += counts.all
        if (counts.chosen === 0) continue
        for (const path of some) for (const line of runTshark(options, path, filter)) wrong.push(`${path}: ${line}`)
      }
    return { files: written.length, packets, wrong }
  }

  /** All of them as one file, which costs tshark one start. */
  private judge(paths: readonly string[], options: readonly string[], filter: string): ReturnType<typeof countBoth> {
    const merged = join(this.folder, 'merged.pcapng')
    runTool('mergecap', ['-w', merged, ...paths])
    const counts = countBoth(options, merged, filter)
    rmSync(merged)
    return counts
  }

  remove(): void {
    rmSync(this.folder, { recursive: true })
  }
}

/** What tshark reads in a few seconds. */
const BATCH_BYTES = 128 * 1_024 * 1_024

function batches(paths: readonly string[]): string[][] {
  const all: string[][] = []
  let room = 0
  for (const path of paths) {
    const { size } = statSync(path)
    if (all.length === 0 || room < size) {
      all.push([])
      room = BATCH_BYTES
    }
    room -= size
    all.at(-1)!.push(path)
  }
  return all
}

const CHECKS = ['ip', 'udp', 'tcp'].flatMap((name) => ['-o', `${name}.check_checksum:TRUE`])
/** TCP is judged, not what it carries: tshark takes any bytes for some protocol, by port or by looks, and finds them malformed. */
const BARE = ['-d', 'tcp.port==1-65535,data', '-o', 'tcp.desegment_tcp_streams:FALSE']
const bad = (name: string): string => `${name}.checksum.status == "Bad"`
/** What an ICMP error quotes is as its sender had it in hand, who may have left the checksum to the device: that is no fault. */
const QUOTES_NOTHING = '!icmp && !icmpv6'
/** Linux sends 0xffff for a sum of 0, of which tshark complains. In our captures what we sent has a direction, and there it may. */
const OF_LINUX = 'tcp.checksum == 0xffff && !(frame.packet_flags_direction == 2)'
const MALFORMED = `_ws.malformed || (tcp && ${QUOTES_NOTHING} && _ws.expert.severity == "Error" && !(${OF_LINUX}))`
const BAD_TRANSPORT = `(${bad('udp')} || (${bad('tcp')} && !(${OF_LINUX}))) && ${QUOTES_NOTHING}`
const WRONG = `${['ip', 'icmp', 'icmpv6', 'igmp'].map(bad).join(' || ')} || ${MALFORMED} || (${BAD_TRANSPORT})`

/** The packets that a display filter shows, a line each. */
export const tshark = (path: string, filter: string, ...more: readonly string[]): string[] =>
  runTshark(CHECKS, path, filter, ...more)

function runTshark(options: readonly string[], path: string, filter: string, ...more: readonly string[]): string[] {
  const words = ['-n', '-r', path, ...options, ...(filter === '' ? [] : ['-Y', filter]), ...more]
  return runTool('tshark', words)
    .split('\n')
    .filter((line) => line !== '')
}

/** How many packets there are, and how many of them a filter shows, in one reading. */
function countBoth(options: readonly string[], path: string, filter: string): { all: number; chosen: number } {
  const words = ['-n', '-r', path, ...options, '-q', '-z', `io,stat,0,frame,${filter}`]
  const match = /<>[^|]*\|\s*([0-9]+)\s*\|\s*[0-9]+\s*\|\s*([0-9]+)\s*\|/.exec(runTool('tshark', words))
  if (match === null) return { all: countPackets(path, ''), chosen: runTshark(options, path, filter).length }
  return { all: Number(match[1]), chosen: Number(match[2]) }
}

export const countPackets = (path: string, filter: string): number => tshark(path, filter).length
