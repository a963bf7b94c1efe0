// `hourglass run`: any command of Node's, on a host of ours instead of the system's network.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import type { Command } from 'commander'
import { EnvironmentError, UsageError } from '../errors.ts'
import { hostOptionsOf, type Settings, systemPrefixes, toEnvironment } from '../node/register/settings.ts'
import type { IpAddress } from '../wire/address.ts'
import * as read from './arguments.ts'
import { addHostOptions, type HostFlags, hostOptions } from './host-options.ts'

interface RunFlags extends HostFlags {
  dns?: IpAddress[]
  host?: string[]
  system?: string[]
  control?: string | false
}

const REGISTER = new URL('../node/register/register.js', import.meta.url).href
const NOT_FOUND = 127
/** The shell's: a command that a signal ended. */
const SIGNAL_BASE = 128

export function runCommand(program: Command, end: (code: number) => void): void {
  const command = program
    .command('run')
    .summary("run a Node program on a host of its own, instead of the system's network")
    .description(
      'Runs a command of Node on a host of its own: net, dgram, dns and TLS of the program go through it, unchanged. Ends as the command does.',
    )
  addHostOptions(command)
    .option('--dns <A>', 'a name server; may be repeated', read.collect(read.address))
    .option(
      '--host <NAME=A>',
      'the address of a name, like a line of /etc/hosts; may be repeated',
      read.collect(String),
    )
    .option('--system <A/LEN>', "destinations that stay the system's; may be repeated", read.collect(String))
    .option('--control <PATH>', 'the control socket that hourglass ss, ip and nstat ask; default: by the process')
    .option('--no-control', 'no control socket')
    .argument('<COMMAND...>', 'the command, after --')
    // Its options are its own, also where -- was left out.
    .passThroughOptions()
    .action(async (words: string[], flags: RunFlags) => end(await run(words, flags)))
  command.addHelpText(
    'before',
    `Examples (as root, or in a namespace of your own: unshare -rn):
  hourglass run --link tap:tap0 --address 10.77.0.2/24 --os-address 10.77.0.1/24 -- node app.mjs
  hourglass run --link udp:127.0.0.1:5000-127.0.0.1:5001 --address 10.0.0.1/24 --host b=10.0.0.2 -- node client.mjs
`,
  )
}

async function run(words: readonly string[], flags: RunFlags): Promise<number> {
  // What cannot be is said here, in the words of the options.
  hostOptions(flags)
  if (flags.capture === '-') throw new UsageError('--capture -: standard output is the command’s: name a file')
  const settings = settingsOf(flags)
  hostOptionsOf(settings)
  systemPrefixes(settings)
  const [program, ...rest] = words as [string, ...string[]]
  const options = [process.env.NODE_OPTIONS ?? '', `--import=${REGISTER}`].filter((text) => text !== '').join(' ')
  const child = spawn(program, rest, {
    stdio: 'inherit',
    env: { ...process.env, ...toEnvironment(settings), NODE_OPTIONS: options },
  })
  const pass = (signal: NodeJS.Signals): void => {
    child.kill(signal)
  }
  // A terminal sends them to both: the command decides when it ends.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, pass)
  try {
    await once(child, 'spawn')
  } catch (error) {
    const isThere = !(error instanceof Error && 'code' in error && error.code === 'ENOENT')
    const failure = new EnvironmentError(
      `the command ${program}`,
      isThere ? String(error) : 'there is none of this name',
      'look at the words after --',
    )
    if (isThere) throw failure
    process.stderr.write(`hourglass: ${failure.message}\n`)
    return NOT_FOUND
  }
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return code ?? SIGNAL_BASE + (signal === null ? 0 : constants.signals[signal])
}

function settingsOf(flags: RunFlags): Settings {
  const list = (values: readonly unknown[] | undefined): readonly string[] | undefined => values?.map(String)
  const all: { [Name in keyof Settings]: Settings[Name] | undefined } = {
    link: flags.link,
    address: list(flags.address),
    gateway: list(flags.gateway),
    osAddress: list(flags.osAddress),
    mtu: flags.mtu,
    capture: flags.capture,
    offload: flags.offload,
    autoconf: flags.autoconf,
    mac: flags.mac === undefined ? undefined : String(flags.mac),
    dns: list(flags.dns),
    host: flags.host,
    system: flags.system,
    control: flags.control === false ? 'off' : flags.control,
  }
  const given = Object.entries(all).filter(
    ([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0),
  )
  return Object.fromEntries(given) as Settings
}
