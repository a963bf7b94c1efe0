// What the command prints and how it ends: data on standard output, messages on standard error, and the exit
// codes 0 ok, 1 the answer is no, 2 usage, 3 environment, 130 interrupted.

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

/** Data. */
export const print = (line: string): void => {
  const stream = stdoutIsTaken ? process.stderr : process.stdout
  stream.write(`${line}\n`)
}

/** A message about the run, not part of its data. */
export const say = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

/** One JSON value on a line of its own; bigint and addresses become text. */
export const printJson = (value: unknown): void => print(JSON.stringify(value, jsonValue))

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

/** Waits until both streams took all that was printed, so that nothing is lost in a pipe. */
export async function flushOutput(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.writableLength > 0) await new Promise<void>((resolve) => stream.write('', () => resolve()))
  }
}
