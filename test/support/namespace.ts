// Network namespaces for tests against the operating system: nothing that a test does reaches the machine's own network.
// A namespace lives for one call; what was started in it is killed by its process id, and it is removed whatever happens.

import { type ChildProcessWithoutNullStreams, execFile, spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { hasTool } from './tools.ts'

export interface Finished {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** A program that runs in a namespace. */
export interface Running {
  readonly child: ChildProcessWithoutNullStreams
  /** What it printed so far. */
  readonly output: () => string
  /** Settles when its output matches; rejects when it ends first or after the time. */
  readonly printed: (pattern: RegExp, timeoutMillis?: number) => Promise<RegExpMatchArray>
  readonly finished: Promise<Finished>
}

export interface Namespace {
  readonly name: string
  /** Runs `words` (split at spaces, or as given) to the end. It does not throw where the program fails. */
  run(words: string | readonly string[], timeoutMillis?: number): Promise<Finished>
  /** Like run, but throws with what the program said where it fails. */
  must(words: string | readonly string[], timeoutMillis?: number): Promise<string>
  spawn(words: string | readonly string[], environment?: Record<string, string>): Running
  /** Runs a TypeScript file of this checkout. */
  script(file: string, ...values: readonly string[]): Running
}

const DEFAULT_TIMEOUT_MILLIS = 30_000
const KILL_AFTER_MILLIS = 2_000

/** True where this process may make namespaces. Use it as `describe.skipIf(!needRoot())`. Throws under CI where it may not. */
export function needRoot(): boolean {
  const missing = whyNot()
  if (missing === '') return true
  const line = `MISSING PRIVILEGE: ${missing}, the tests in network namespaces do not run`
  if (process.env.CI === 'true') throw new Error(line)
  console.error(`\n*** ${line} ***\n`)
  return false
}

let reason: string | null = null

function whyNot(): string {
  if (reason !== null) return reason
  reason = ''
  if (process.platform !== 'linux') reason = `this is ${process.platform}`
  else if (!hasTool('ip')) reason = 'ip(8) is not installed'
  else {
    const name = `hg-${process.pid}-try`
    const made = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' })
    if (made.status === 0) spawnSync('ip', ['netns', 'del', name])
    else reason = `ip netns add fails (${made.stderr.trim()})`
  }
  return reason
}

let made = 0

/** Removes what runs that were killed left behind: namespaces of processes that are no more. */
function sweep(): void {
  const { stdout } = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' })
  for (const [name, owner] of stdout.matchAll(/^hg-([0-9]+)-\S+/gm))
    if (!existsSync(`/proc/${owner}`)) spawnSync('ip', ['netns', 'del', name])
}

/** Makes a namespace with its loopback up, hands it to `body` and removes it. */
export async function withNamespace<T>(body: (namespace: Namespace) => Promise<T>): Promise<T> {
  const name = `hg-${process.pid}-${++made}`
  const running: Running[] = []
  if (made === 1) sweep()
  must(await execute('ip', ['netns', 'add', name], DEFAULT_TIMEOUT_MILLIS), `ip netns add ${name}`)
  const remove = (): void => void spawnSync('ip', ['netns', 'del', name])
  process.once('exit', remove)
  const namespace = view(name, running)
  try {
    await namespace.must('ip link set lo up')
    return await body(namespace)
  } finally {
    await stop(name, running)
    process.removeListener('exit', remove)
    remove()
  }
}

/** A cable between two namespaces, both ends up, addresses as `10.0.0.1/24`. */
export async function connect(
  a: { namespace: Namespace; device: string; addresses: readonly string[] },
  b: { namespace: Namespace; device: string; addresses: readonly string[] },
): Promise<void> {
  await a.namespace.must(`ip link add ${a.device} type veth peer name ${b.device} netns ${b.namespace.name}`)
  for (const { namespace, device, addresses } of [a, b]) {
    for (const address of addresses)
      await namespace.must(`ip addr add ${address} dev ${device}${address.includes(':') ? ' nodad' : ''}`)
    await namespace.must(`ip link set ${device} up`)
  }
}

function view(name: string, running: Running[]): Namespace {
  const inside = (words: string | readonly string[]): string[] => ['netns', 'exec', name, ...split(words)]
  const start = (words: string | readonly string[], environment: Record<string, string> = {}): Running => {
    const started = watch(spawn('ip', inside(words), { env: { ...process.env, ...environment } }))
    running.push(started)
    return started
  }
  return {
    name,
    run: (words, timeoutMillis = DEFAULT_TIMEOUT_MILLIS) => execute('ip', inside(words), timeoutMillis),
    must: async (words, timeoutMillis = DEFAULT_TIMEOUT_MILLIS) =>
      must(await execute('ip', inside(words), timeoutMillis), split(words).join(' ')),
    spawn: start,
    script: (file, ...values) => start([process.execPath, '--import', 'tsx', file, ...values]),
  }
}

const split = (words: string | readonly string[]): readonly string[] =>
  typeof words === 'string' ? words.split(' ').filter((word) => word !== '') : words

function must(result: Finished, what: string): string {
  if (result.code !== 0) throw new Error(`${what} ended with ${result.code}: ${result.stderr}${result.stdout}`)
  return result.stdout
}

function execute(program: string, values: readonly string[], timeoutMillis: number): Promise<Finished> {
  return new Promise((resolve) => {
    execFile(program, values, { timeout: timeoutMillis, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
      resolve({ code, stdout, stderr: code === -1 ? `${stderr}${String(error)}` : stderr })
    })
  })
}

function watch(child: ChildProcessWithoutNullStreams): Running {
  let stdout = ''
  let stderr = ''
  let ended = false
  const listeners = new Set<() => void>()
  const tell = (): void => {
    for (const listener of [...listeners]) listener()
  }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    tell()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    tell()
  })
  const finished = new Promise<Finished>((resolve) => {
    const end = (code: number): void => {
      ended = true
      tell()
      resolve({ code, stdout, stderr })
    }
    child.once('error', (error) => {
      stderr += String(error)
      end(-1)
    })
    child.once('close', (code) => end(code ?? -1))
  })
  const printed = (pattern: RegExp, timeoutMillis = DEFAULT_TIMEOUT_MILLIS): Promise<RegExpMatchArray> =>
    new Promise((resolve, reject) => {
      const give = (settle: () => void): void => {
        clearTimeout(timer)
        listeners.delete(look)
        settle()
      }
      const look = (): void => {
        const match = (stdout + stderr).match(pattern)
        if (match !== null) give(() => resolve(match))
        else if (ended) give(() => reject(new Error(`ended before it printed ${pattern}:\n${stdout}${stderr}`)))
      }
      const timer = setTimeout(
        () => give(() => reject(new Error(`did not print ${pattern}:\n${stdout}${stderr}`))),
        timeoutMillis,
      )
      listeners.add(look)
      look()
    })
  return { child, output: () => stdout + stderr, printed, finished }
}

/** ip netns exec becomes the program itself, so that the child's id is the program's; what a shell started is found by its namespace. */
async function stop(name: string, running: readonly Running[]): Promise<void> {
  for (const { child } of running) if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
  const killing = setTimeout(() => {
    const { stdout } = spawnSync('ip', ['netns', 'pids', name], { encoding: 'utf8' })
    for (const id of stdout.split('\n').map(Number)) if (id > 0) kill(id)
  }, KILL_AFTER_MILLIS)
  await Promise.all(running.map(({ finished }) => finished))
  clearTimeout(killing)
}

function kill(id: number): void {
  try {
    process.kill(id, 'SIGKILL')
  } catch (error) {
    // It ended by itself meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
