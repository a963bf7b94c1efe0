// `hourglass doctor`: what this machine can do, and the one command that mends each gap.

import type { Command } from 'commander'
import { examine } from '../node/doctor.ts'
import { bold, EXIT_NO, EXIT_OK, green, print, printJson, yellow } from './output.ts'

export function doctorCommand(program: Command, end: (code: number) => void): void {
  program
    .command('doctor')
    .summary('what this machine can do, and how to mend what it cannot')
    .description(
      'Looks at what links and tests need. Ends with 1 when something is missing; hosts in memory always work.',
    )
    .option('--json', 'the findings as JSON')
    .addHelpText('before', 'Examples:\n  hourglass doctor\n  hourglass doctor --json\n')
    .action(async (flags: { json?: boolean }) => end(await doctor(flags.json === true)))
}

async function doctor(json: boolean): Promise<number> {
  const findings = await examine()
  if (json) printJson(findings)
  else {
    const width = Math.max(...findings.map(({ name }) => name.length))
    for (const { name, ok, detail, mend } of findings) {
      print(`${ok ? green('ok ') : yellow('no ')} ${bold(name.padEnd(width))}  ${detail}`)
      if (!ok && mend !== '') print(`    ${' '.repeat(width)}  mend: ${mend}`)
    }
  }
  return findings.every(({ ok }) => ok) ? EXIT_OK : EXIT_NO
}
