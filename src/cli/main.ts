#!/usr/bin/env node
// The command `hourglass`: finds the subcommand, runs it, and ends with its exit code.

import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { refuseRepeats } from './arguments.ts'
import { demoCommand } from './demo.ts'
import { doctorCommand } from './doctor.ts'
import { drillCommand } from './drill.ts'
import { dumpCommand } from './dump.ts'
import { ipCommand } from './ip.ts'
import { ncCommand } from './nc.ts'
import { nstatCommand } from './nstat.ts'
import { EXIT_OK, EXIT_USAGE, flushOutput, outputFailed, printBytes, report } from './output.ts'
import { pingCommand } from './ping.ts'
import { runCommand } from './run.ts'
import { ssCommand } from './ss.ts'
import { traceCommand } from './trace.ts'
import { upCommand } from './up.ts'

const EXAMPLES = `Examples:
  hourglass demo                            two hosts in memory, nothing to set up
  hourglass doctor                          what this machine can do, and how to mend what it cannot
  hourglass up --link tap:tap0 --address 10.77.0.2/24 --os-address 10.77.0.1/24
  hourglass ping --link mem --address 10.0.0.1/24 -c 3 10.0.0.2
  hourglass dump captures/demo.pcapng
  hourglass drill test/drill
`

function version(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')
  const parsed: unknown = JSON.parse(text)
  return typeof parsed === 'object' && parsed !== null && 'version' in parsed ? String(parsed.version) : 'unknown'
}

async function main(words: readonly string[]): Promise<number> {
  let code = EXIT_OK
  const end = (result: number): void => {
    code = result
  }
  const program = new Command('hourglass')
    .description('A TCP/IP stack in user space: hosts on real links, and whole networks in memory.')
    .version(version(), '-V, --version')
    .showHelpAfterError('(hourglass --help shows how it is used)')
    .addHelpText('before', EXAMPLES)
    .exitOverride()
    .enablePositionalOptions()
    .configureOutput({ writeOut: printBytes })
  demoCommand(program, end)
  upCommand(program, end)
  pingCommand(program, end)
  traceCommand(program, end)
  ncCommand(program, end)
  runCommand(program, end)
  ssCommand(program, end)
  ipCommand(program, end)
  nstatCommand(program, end)
  dumpCommand(program, end)
  drillCommand(program, end)
  doctorCommand(program, end)
  for (const command of program.commands) {
    command.exitOverride().showHelpAfterError(`(hourglass ${command.name()} --help shows how it is used)`)
    refuseRepeats(command)
  }
  try {
    await program.parseAsync([...words])
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_OK : EXIT_USAGE
    return report(error)
  }
  return code
}

process.stdout.on('error', outputFailed)
process.stderr.on('error', () => {
  // There is nobody left to tell.
})

process.exitCode = await main(process.argv)
await flushOutput()
process.exit()
