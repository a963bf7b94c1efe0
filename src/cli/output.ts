// What the command prints and how it ends: data on standard output, messages on standard error, and the exit
// codes 0 ok, 1 the answer is no, 2 usage, 3 environment, 130 interrupted.

import { once } from 'node:events'
import { EnvironmentError, NetError, UsageError } from '../errors.ts'

export const EXIT_OK = 0
export const EXIT_NO = 1
export const EXIT_USAGE = 2
export const EXIT_ENVIRONMENT = 3
export const EXIT_INTERRUPTED = 130

let stdoutIsTaken = false

/** A capture goes to standard output: what would be printed there goes to standard error. */
export const giveAwayStdout = (): void => {
  stdoutIsTaken = true
}

/** Data. False where the reader lags behind: who has much more to print awaits drained(). */
export const print = (line: string): boolean => printBytes(`${line}\n`)

/** Data as it is. As print(). */
export function printBytes(data: string | Uint8Array): boolean {
  const stream = stdoutIsTaken ? process.stderr : process.stdout
  try {
    return stream.write(data)
  } catch (error) {
    // Files and devices are written in the call itself, and Node throws what went wrong.
    outputFailed(error)
  }
}

/** Resolves when the reader of standard output has caught up. */
export async function drained(): Promise<void> {
  const stream = stdoutIsTaken ? process.stderr : process.stdout
  if (stream.writableNeedDrain) await once(stream, 'drain')
}

/** Ends the process: without a word where the reader has seen enough (| head), else with one line. */
export function outputFailed(error: unknown): never {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
  if (code === 'EPIPE') process.exit(EXIT_OK)
  const why = code === 'ENOSPC' ? 'no space is left' : `it cannot be written (${code})`
  say(`hourglass: standard output: ${why}. To mend it: write to another disk, or to a pipe`)
  process.exit(EXIT_ENVIRONMENT)
}

/** Bytes of messages that wait for the reader of standard error; what comes then is left out. */
const SAY_BYTES = 64 * 1_024

/** A message about the run, not part of its data. */
export function say(line: string): void {
  if (process.stderr.writableLength > SAY_BYTES) return
  try {
    process.stderr.write(`${line}\n`)
  } catch {
    // There is nobody left to tell.
  }
}

/** One JSON value on a line of its own; bigint and addresses become text. */
export const printJson = (value: unknown): boolean => print(JSON.stringify(value, jsonValue))

function jsonValue(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}

/** Colour where somebody looks: https://no-color.org. */
const colours = process.stdout.isTTY === true && (process.env.NO_COLOR ?? '') === '' && process.env.TERM !== 'dumb'
const paint =
  (code: number) =>
  (text: string): string =>
    colours ? `\u001b[${code}m${text}\u001b[0m` : text
export const bold = paint(1)
export const dim = paint(2)
export const green = paint(32)
export const red = paint(31)
export const yellow = paint(33)

/** Prints the error as one message and tells the exit code. What is nobody's mistake but ours is shown with its stack. */
export function report(error: unknown): number {
  if (error instanceof UsageError) {
    say(`hourglass: ${error.message}`)
    return EXIT_USAGE
  }
  if (error instanceof EnvironmentError || error instanceof NetError) {
    say(`hourglass: ${error.message}`)
    return EXIT_ENVIRONMENT
  }
  say(error instanceof Error ? (error.stack ?? error.message) : String(error))
  return EXIT_ENVIRONMENT
}

/** How long a run that was to end by itself waits for those who read its output. */
const PATIENCE_MILLIS = 1_000
let patient = true

/** From now on nobody who reads nothing may keep the process: its end is a signal's, or a time limit's. */
export const limitPatience = (): void => {
  patient = false
}

/** Waits until both streams took all that was printed, so that nothing is lost in a pipe. */
export async function flushOutput(): Promise<void> {
  const taken = [process.stdout, process.stderr]
    .filter((stream) => stream.writableLength > 0)
    .map((stream) => new Promise<void>((resolve) => stream.write('', () => resolve())))
  if (taken.length === 0) return
  const all = Promise.all(taken)
  if (patient) await all
  else await Promise.race([all, new Promise((resolve) => setTimeout(resolve, PATIENCE_MILLIS))])
}
