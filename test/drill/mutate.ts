// How strict the packet scripts are: changes one number, flag or time of a script at a time, and counts how many of
// the changed ones still pass. `npm run mutate` prints those that do and the share of those that fail, which must not
// be less than 95 in 100; `npm run mutate -- --exhaustive` also takes what the stack sends beyond the script for a failure.

import { pathToFileURL } from 'node:url'
import { runScript } from '../../src/drill/runner.ts'
import { type ScriptFile, scriptFiles } from './scripts.ts'

/** Mutants in 100 that must fail. */
export const LEAST_SHARE = 95

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
export function isNoticed(mutant: Mutant, exhaustive = false): boolean {
  const verdict = runScript(mutant.script, mutant.text, { level: 'strict', exhaustive })
  return verdict.kind !== 'passed'
}

/** Of all mutants, in order, one in `every`. */
export function sampleOf(scripts: readonly ScriptFile[], every: number): Mutant[] {
  return scripts.flatMap((script) => mutantsOf(script)).filter((_mutant, index) => index % every === 0)
}

/** How many in 100 are noticed. */
export const shareOf = (noticed: number, total: number): number => (100 * noticed) / total

function main(args: readonly string[]): number {
  const exhaustive = args.includes('--exhaustive')
  const scripts = scriptFiles()
  for (const { name, text } of scripts) {
    // Every mutant of a script that fails would fail as well, and prove nothing.
    const verdict = runScript(name, text, { level: 'strict', exhaustive })
    if (verdict.kind === 'passed') continue
    console.log(`${name} itself does not pass: ${JSON.stringify(verdict)}`)
    return 1
  }
  const mutants = sampleOf(scripts, 1)
  const missed = mutants.filter((mutant) => !isNoticed(mutant, exhaustive))
  for (const { script, line, change } of missed) console.log(`${script}:${line}: ${change}`)
  const noticed = mutants.length - missed.length
  const share = shareOf(noticed, mutants.length)
  console.log(`${noticed} of ${mutants.length} mutants fail: ${share.toFixed(1)} in 100, ${LEAST_SHARE} must`)
  return share >= LEAST_SHARE ? 0 : 1
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.exitCode = main(process.argv.slice(2))
