// `hourglass drill`: packet scripts against the stack, in process, in virtual time.

import { existsSync, readdirSync, statSync } from 'node:fs'
import { type Command, Option } from 'commander'
import { LEVELS, type Level } from '../drill/levels.ts'
import { type DrillOptions, runScript, type Verdict } from '../drill/runner.ts'
import { UsageError } from '../errors.ts'
import { readText } from '../node/read-text.ts'
import { dim, EXIT_NO, EXIT_OK, EXIT_USAGE, print, printJson, say } from './output.ts'

/** Characters of a reason for which scripts are not run. */
const MOST_REASON = 120
/** A script that a person wrote has some hundred lines. */
const SCRIPT_BYTES = 1_024 * 1_024

interface DrillFlags {
  level: Level
  define: Map<string, string>
  exhaustive?: boolean
  json?: boolean
}

export function drillCommand(program: Command, end: (code: number) => void): void {
  program
    .command('drill <FILES...>')
    .summary("run packet scripts in packetdrill's language against the stack")
    .description(
      'Runs packet scripts against a stack of their own each, in process and in virtual time. FILES are scripts, folders ' +
        'of scripts named *.pkt, or patterns with *, ? and **.',
    )
    .option('--level <LEVEL>', `how exactly: ${LEVELS.join(', ')}`, level, 'strict')
    .addOption(
      new Option('--define <SYM=VALUE>', 'a symbol that scripts use; may be repeated')
        .argParser(define)
        .default(new Map<string, string>(), 'none'),
    )
    .option('--exhaustive', 'packets after the last one expected, and other descriptor numbers, are failures too')
    .option('--json', 'one JSON object')
    .addHelpText(
      'before',
      'Examples:\n  hourglass drill test/drill\n  hourglass drill "scripts/**/*.pkt"\n  hourglass drill --level portable --define MSS=1460 script.pkt\n',
    )
    .action((files: string[], flags: DrillFlags) => end(drill(files, flags)))
}

function level(text: string): Level {
  const known = LEVELS.find((candidate) => candidate === text)
  if (known === undefined) throw new UsageError(`--level is ${text}: it must be one of ${LEVELS.join(', ')}`)
  return known
}

function define(text: string, symbols: Map<string, string>): Map<string, string> {
  const at = text.indexOf('=')
  if (at <= 0) throw new UsageError(`--define is '${text}': write it like MSS=1460`)
  return symbols.set(text.slice(0, at), text.slice(at + 1))
}

function drill(files: readonly string[], flags: DrillFlags): number {
  const options = { level: flags.level, symbols: flags.define, exhaustive: flags.exhaustive ?? false }
  const verdicts = files.flatMap(scriptsAt).map((file) => run(file, options))
  if (flags.json === true) printJson(summary(verdicts, flags.level))
  else tell(verdicts)
  if (verdicts.some(({ kind }) => kind === 'wrong')) return EXIT_USAGE
  return verdicts.some(({ kind }) => kind === 'failed') ? EXIT_NO : EXIT_OK
}

function run(file: string, options: DrillOptions): Verdict {
  let text: string
  try {
    text = readText(file, SCRIPT_BYTES)
  } catch (error) {
    return {
      kind: 'wrong',
      file,
      message: `${file === '' ? "''" : file} cannot be read (${because(error)}): give a script, a folder of them, or a pattern in quotes`,
    }
  }
  return runScript(file, text, options)
}

const because = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** A file; the scripts of a folder and those below it; or, where no shell did it, what a pattern stands for. */
function scriptsAt(path: string): string[] {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) {
    return found(scriptsBelow(path), `${path}: expected scripts there, files named *.pkt`)
  }
  if (!/[*?]/.test(path) || existsSync(path)) return [path]
  const parts = path.split('/')
  const folder = parts
    .slice(
      0,
      parts.findIndex((part) => /[*?]/.test(part)),
    )
    .join('/')
  const pattern = patternOf(path)
  const start = folder === '' ? (path.startsWith('/') ? '/' : '.') : folder
  const paths = filesBelow(start).map((file) => file.replace(/^\.\//, ''))
  return found(
    paths.filter((file) => pattern.test(file)),
    `${path} stands for no file`,
  )
}

function found(files: string[], otherwise: string): string[] {
  if (files.length === 0) throw new UsageError(otherwise)
  return files.sort()
}

const scriptsBelow = (folder: string): string[] => filesBelow(folder).filter((file) => file.endsWith('.pkt'))

function filesBelow(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true, recursive: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => `${entry.parentPath}/${entry.name}`)
  } catch (error) {
    throw new UsageError(`${folder} cannot be read: ${because(error)}`)
  }
}

/** `*` and `?` stand for what is within a name, `**` as a name for any number of folders. */
function patternOf(path: string): RegExp {
  const source = path
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*\*\/|\*|\?/g, (mark) => (mark === '**/' ? '(?:.*/)?' : mark === '*' ? '[^/]*' : '[^/]'))
  return new RegExp(`^${source}$`)
}

const count = (verdicts: readonly Verdict[], kind: Verdict['kind']): number =>
  verdicts.filter((verdict) => verdict.kind === kind).length

function summary(verdicts: readonly Verdict[], used: Level): object {
  return { level: used, passed: count(verdicts, 'passed'), failed: count(verdicts, 'failed'), scripts: verdicts }
}

function tell(verdicts: readonly Verdict[]): void {
  const reasons = new Map<string, string[]>()
  for (const verdict of verdicts) {
    if (verdict.kind === 'wrong') say(`hourglass: ${verdict.message}`)
    else if (verdict.kind === 'not-run')
      reasons.set(verdict.reason, [...(reasons.get(verdict.reason) ?? []), verdict.file])
    else if (verdict.kind === 'failed') {
      print(`${verdict.file}:${verdict.line}: ${verdict.message}`)
      if (verdict.expected !== null) print(`  expected  ${verdict.expected}`)
      if (verdict.seen !== null) print(`  seen      ${verdict.seen}`)
    }
  }
  print(`${count(verdicts, 'passed')} passed, ${count(verdicts, 'failed')} failed`)
  if (reasons.size === 0) return
  print(`${count(verdicts, 'not-run')} not run:`)
  for (const [reason, files] of [...reasons].sort((a, b) => b[1].length - a[1].length)) {
    print(
      `  ${files.length} ${reason.length > MOST_REASON ? `${reason.slice(0, MOST_REASON)}…` : reason} ${dim(files.slice(0, 3).join(' '))}`,
    )
  }
}
