// `hourglass nstat`: the counters of a running host, in the columns of nstat(8).

import type { Command } from 'commander'
import { UsageError } from '../errors.ts'
import { addControlOptions, allRows, type ControlFlags } from './control.ts'
import { EXIT_OK, print, printJson } from './output.ts'

interface NstatFlags extends ControlFlags {
  zeros?: boolean
}

export function nstatCommand(program: Command, end: (code: number) => void): void {
  const command = program
    .command('nstat')
    .summary("a running host's counters, as nstat(8) prints them")
    .description(
      'Prints the counters of a running host since it began, as nstat -a does; drops by reason are drop.REASON. A pattern takes * and ?.',
    )
    .argument('[PATTERN...]', 'the names to print, like Tcp* or drop.*')
    .option('-z, --zeros', 'print zeros as well')
    .option('-a', 'as nstat(8) has it; the values are absolute anyway')
    .option('-s', 'as nstat(8) has it; no history is kept anyway')
  addControlOptions(command).action(async (patterns: string[], flags: NstatFlags) => end(await nstat(patterns, flags)))
  command.addHelpText('before', "Examples:\n  hourglass nstat 'Tcp*'\n  hourglass nstat -z --json\n")
}

async function nstat(patterns: readonly string[], flags: NstatFlags): Promise<number> {
  const wanted = patterns.map(glob)
  const rows = (await allRows(flags, 'counters')).filter(
    ({ name, count }) =>
      (flags.zeros === true || count > 0) && (wanted.length === 0 || wanted.some((one) => one.test(name))),
  )
  if (flags.json === true) printJson({ kernel: Object.fromEntries(rows.map(({ name, count }) => [name, count])) })
  else {
    print('#kernel')
    for (const { name, count } of rows) print(`${name.padEnd(32)}${String(count).padEnd(16)}   0.0`)
  }
  return EXIT_OK
}

function glob(pattern: string): RegExp {
  if (!/^[\w.*?]+$/.test(pattern)) {
    throw new UsageError(`the pattern '${pattern}' is no name: give letters, digits, dots, * and ?`)
  }
  return new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', '.')}$`, 'i')
}
