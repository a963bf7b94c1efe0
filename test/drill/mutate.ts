// How strict the packet scripts are: changes one number, flag or time of a script at a time, and counts how many of
// the changed ones still pass. `npx tsx test/drill/mutate.ts` prints the share that fails, and those that do not.

import { pathToFileURL } from 'node:url'
import { runScript } from '../../src/drill/runner.ts'
import { type ScriptFile, scriptFiles } from './scripts.ts'

export interface Mutant {
  readonly script: string
  readonly line: number
  /** What was changed, and into what. */
  readonly change: string
  readonly text: string
}

/** Where a line's time ends: a mutant of it is later by a tenth of a second. */
const TIME = /^(\+?)(\d*\.?\d+)(~\+?\d*\.?\d+|\.\.\.\d*\.?\d+)?(?=\s)/
/** Flags between the direction, perhaps with ports, and the sequence number. */
const FLAGS = /^(\S+\s+[<>]\s+(?:\d+ > \d+\s+)?)([SFRPUEWA]*\.?|-)(?=\s+(?:\d+:|\.\.\.\())/
const NUMBER = /(?<![\w.:#-])-?\d+(?![\w.]*[a-z])(?!\.\d)/gi
const OTHER_FLAGS: Readonly<Record<string, string>> = { S: 'F', F: 'R', R: 'F', P: 'F', U: 'F', '.': '', '-': 'R' }

/** Every mutant of a script, in order. */
export function mutantsOf({ name, text }: ScriptFile): Mutant[] {
  const lines = text.split('\n')
  const mutants: Mutant[] = []
  const add = (index: number, changed: string, change: string): void => {
    const copy = [...lines]
    copy[index] = changed
    mutants.push({ script: name, line: index + 1, change, text: copy.join('\n') })
  }
  for (const [index, line] of lines.entries()) {
    if (line.startsWith('//') || line.startsWith('--') || line.trim() === '') continue
    mutateTime(line, (changed, change) => add(index, changed, change))
    mutateFlags(line, (changed, change) => add(index, changed, change))
    mutateNumbers(line, (changed, change) => add(index, changed, change))
  }
  return mutants
}

type Add = (changed: string, change: string) => void

function mutateTime(line: string, add: Add): void {
  const match = TIME.exec(line)
  if (match === null) return
  const later = `${match[1]}${(Number(match[2]) + 0.1).toFixed(3)}`
  add(line.replace(TIME, `${later}${match[3] ?? ''}`), `time ${match[0]} -> ${later}`)
}

function mutateFlags(line: string, add: Add): void {
  const match = FLAGS.exec(line)
  if (match === null) return
  const flags = match[2]!
  for (const flag of flags) {
    const changed = flags.replace(flag, OTHER_FLAGS[flag] ?? '') || '-'
    add(line.replace(FLAGS, `$1${changed}`), `flags ${flags} -> ${changed}`)
  }
}

/** Numbers behind the time, the notes in brackets at the end of a call left alone. */
function mutateNumbers(line: string, add: Add): void {
  const start = TIME.exec(line)?.[0].length ?? 0
  const head = line.slice(0, start)
  const rest = line.slice(start)
  for (const match of rest.matchAll(NUMBER)) {
    const number = Number(match[0])
    const changed = String(number < 0 ? number - 1 : number + 1)
    const at = match.index
    add(`${head}${rest.slice(0, at)}${changed}${rest.slice(at + match[0].length)}`, `${match[0]} -> ${changed}`)
  }
}

/** Whether the mutant is noticed: it fails, or is no script at all. */
export function isNoticed(mutant: Mutant): boolean {
  const verdict = runScript(mutant.script, mutant.text, { level: 'strict', exhaustive: true })
  return verdict.kind !== 'passed'
}

function main(): void {
  let total = 0
  let noticed = 0
  for (const script of scriptFiles()) {
    // Every mutant of a script that fails would fail as well, and prove nothing.
    const verdict = runScript(script.name, script.text, { level: 'strict', exhaustive: true })
    if (verdict.kind !== 'passed') throw new Error(`${script.name} itself does not pass: ${JSON.stringify(verdict)}`)
    for (const mutant of mutantsOf(script)) {
      total++
      if (isNoticed(mutant)) noticed++
      else console.log(`${mutant.script}:${mutant.line}: ${mutant.change}`)
    }
  }
  console.log(`${noticed} of ${total} mutants fail: ${((100 * noticed) / total).toFixed(1)} in 100`)
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main()
