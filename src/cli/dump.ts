// `hourglass dump`: the packets of a capture, a line each, as tcpdump prints them, with the comments that say why.

import type { Command } from 'commander'
import { UsageError } from '../errors.ts'
import { type DumpOptions, dumpLines, dumpObjects } from '../node/dump.ts'
import * as read from './arguments.ts'
import { drained, EXIT_NO, EXIT_OK, print, printJson } from './output.ts'

interface DumpFlags {
  count?: number
  relative?: boolean
  time: boolean
  absoluteSequence?: boolean
  verbose?: boolean
  link?: boolean
  json?: boolean
  ndjson?: boolean
}

export function dumpCommand(program: Command, end: (code: number) => void): void {
  program
    .command('dump <FILE>')
    .summary('print a capture (.pcapng or .pcap), a line a packet')
    .description(
      'Prints the packets of a capture as tcpdump does, with the comments that say why each was sent or dropped. Ends with 1 where the file is no whole capture.',
    )
    .option('-c, --count <N>', 'stop after so many packets', (text) => read.integer('--count', text, 1, 1e15))
    .option('-r, --relative', 'times since the first packet')
    .option('-t, --no-time', 'no times')
    .option('-S, --absolute-sequence', 'TCP sequence numbers as on the wire')
    .option('-v, --verbose', 'more of each header')
    .option('-e, --link', 'Ethernet headers too')
    .option('--json', 'one JSON array')
    .option('--ndjson', 'one JSON object a line')
    .addHelpText(
      'before',
      'Examples:\n  hourglass dump captures/demo.pcapng\n  hourglass dump -r -c 10 up.pcapng\n  hourglass dump --ndjson up.pcapng | jq .text\n',
    )
    .action(async (file: string, flags: DumpFlags) => {
      end((await dump(file, flags)) ? EXIT_OK : EXIT_NO)
    })
}

/** Tells whether the capture is whole. */
async function dump(file: string, flags: DumpFlags): Promise<boolean> {
  if (flags.json === true && flags.ndjson === true) throw new UsageError('--json and --ndjson: give one of them')
  const options: DumpOptions = {
    time: !flags.time ? 'none' : flags.relative === true ? 'relative' : 'absolute',
    absoluteSequence: flags.absoluteSequence ?? false,
    verbose: flags.verbose ?? false,
    link: flags.link ?? false,
    ...(flags.count === undefined ? {} : { count: flags.count }),
  }
  let whole = true
  if (flags.json === true) {
    let first = true
    for await (const object of dumpObjects(file, options)) {
      if (!print(`${first ? '[' : ','}${JSON.stringify(object)}`)) await drained()
      first = false
      whole &&= !object.malformed
    }
    print(first ? '[]' : ']')
  } else if (flags.ndjson === true) {
    for await (const object of dumpObjects(file, options)) {
      if (!printJson(object)) await drained()
      whole &&= !object.malformed
    }
  } else {
    for await (const line of dumpLines(file, options)) {
      if (!print(line)) await drained()
      whole &&= !line.startsWith('[malformed] at byte ')
    }
  }
  return whole
}
