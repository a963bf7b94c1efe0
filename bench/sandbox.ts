// Network namespaces for the benches that meet the operating system: nothing reaches the machine's own network, and
// everything that was made or started is gone at the end, also after an error or an interrupt.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'

export interface Program {
  readonly pid: number
  readonly output: () => string
  /** Resolves with its standard output once it has ended. */
  readonly ended: Promise<string>
  /** Resolves when its output contains `text`; rejects when it ends before. */
  says(text: string): Promise<void>
  stop(): Promise<void>
}

const STOP_MILLIS = 3_000

/** Why the benches with namespaces cannot run here; '' where they can. */
export function whyNoSandbox(tools: readonly string[]): string {
  if (process.platform !== 'linux') return `this is ${process.platform}, not Linux`
  if (process.getuid?.() !== 0) return 'it makes network namespaces: run it as root'
  for (const tool of ['ip', ...tools]) {
    if (spawnSync(tool, ['-V']).error !== undefined) return `${tool} is not installed`
  }
  const name = `hgb-${process.pid}-try`
  const made = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' })
  if (made.status !== 0) return `ip netns add fails: ${made.stderr.trim()}`
  spawnSync('ip', ['netns', 'del', name])
  return ''
}

export class Sandbox {
  private readonly namespaces: string[] = []
  private readonly programs: { child: ChildProcess; program: Program }[] = []
  private readonly onExit = (): void => this.removeNamespaces()
  private readonly onSignal = (): void => {
    for (const { child } of this.programs) child.kill('SIGKILL')
    this.removeNamespaces()
    process.exit(130)
  }

  /** Hands a sandbox to `body` and takes everything in it away afterwards. */
  static async with<T>(body: (sandbox: Sandbox) => Promise<T>): Promise<T> {
    const sandbox = new Sandbox()
    try {
      return await body(sandbox)
    } finally {
      await sandbox.close()
    }
  }

  private constructor() {
    process.once('exit', this.onExit)
    process.once('SIGINT', this.onSignal)
    process.once('SIGTERM', this.onSignal)
  }

  namespace(): string {
    const name = `hgb-${process.pid}-${this.namespaces.length}`
    command(['ip', 'netns', 'add', name])
    this.namespaces.push(name)
    this.run(name, 'ip link set lo up')
    return name
  }

  /** Runs a command to its end and returns what it printed. Throws where it fails. */
  run(namespace: string, words: string): string {
    return command(['ip', 'netns', 'exec', namespace, ...words.split(' ')])
  }

  start(namespace: string, words: readonly string[]): Program {
    const child = spawn('ip', ['netns', 'exec', namespace, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
    const program = watch(child, words.join(' '))
    this.programs.push({ child, program })
    return program
  }

  private async close(): Promise<void> {
    for (const { program } of this.programs) await program.stop()
    this.removeNamespaces()
    process.removeListener('exit', this.onExit)
    process.removeListener('SIGINT', this.onSignal)
    process.removeListener('SIGTERM', this.onSignal)
  }

  private removeNamespaces(): void {
    for (const name of this.namespaces.splice(0)) spawnSync('ip', ['netns', 'del', name])
  }
}

function command(words: readonly string[]): string {
  const [program, ...rest] = words
  const { status, stdout, stderr } = spawnSync(program!, rest, { encoding: 'utf8', maxBuffer: 1 << 28 })
  if (status !== 0) throw new Error(`${words.join(' ')} ended with ${status}: ${stderr}${stdout}`)
  return stdout
}

function watch(child: ChildProcess, what: string): Program {
  let output = ''
  let errors = ''
  let over = false
  const looking = new Set<() => void>()
  const look = (): void => {
    for (const one of [...looking]) one()
  }
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    output += text
    look()
  })
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  const ended = new Promise<string>((resolve) => {
    child.once('close', () => {
      over = true
      look()
      resolve(output)
    })
  })
  return {
    pid: child.pid!,
    output: () => output,
    ended,
    says: (text) =>
      new Promise((resolve, reject) => {
        const one = (): void => {
          if (!output.includes(text) && !over) return
          looking.delete(one)
          if (output.includes(text)) resolve()
          else reject(new Error(`${what} ended before it said '${text}':\n${output}${errors}`))
        }
        looking.add(one)
        one()
      }),
    async stop() {
      if (over) return
      child.kill('SIGINT')
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MILLIS)
      await ended
      clearTimeout(timer)
    },
  }
}
