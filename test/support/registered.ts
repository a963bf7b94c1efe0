// Programs of Node in processes of their own, the same one twice: on Node's own modules, and on a host of ours under
// `--import hourglass/register`, where nobody tells the program.

import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Finished } from './namespace.ts'

export const REGISTER = pathToFileURL(resolve('dist/src/node/register/register.js')).href
/** Of the program's host. No machine that a test may reach has it. */
export const REGISTERED_ADDRESS = '10.77.0.1'
const HOST = { HOURGLASS_LINK: 'mem', HOURGLASS_ADDRESS: `${REGISTERED_ADDRESS}/24`, HOURGLASS_CONTROL: 'off' }
const TIMEOUT_MILLIS = 30_000

export interface ProgramOptions {
  readonly environment?: Record<string, string>
  readonly folder?: string
  /** What it reads from its standard input. */
  readonly input?: string
}

/** Runs a program to its end; one that a signal killed has the code -1. */
export function execute(program: string, words: readonly string[], options: ProgramOptions = {}): Promise<Finished> {
  return new Promise((settle) => {
    const env = { ...process.env, ...options.environment }
    const cwd = options.folder ?? process.cwd()
    const child = execFile(program, words, { cwd, env, timeout: TIMEOUT_MILLIS }, (error, stdout, stderr) => {
      settle({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, stdout, stderr })
    })
    child.stdin?.end(options.input)
  })
}

/** Runs `words` of node. */
export const node = (words: readonly string[], environment: Record<string, string> = {}): Promise<Finished> =>
  execute(process.execPath, words, { environment })

/** What makes a program of Node that somebody else starts a host with a link of kind `mem`. */
export const REGISTERED = { ...HOST, NODE_OPTIONS: `--import ${REGISTER}` }

/** Runs `words` of node under register, on such a host. */
export const registered = (words: readonly string[], options: ProgramOptions = {}): Promise<Finished> => {
  const environment = { ...HOST, AT: REGISTERED_ADDRESS, ...options.environment }
  return execute(process.execPath, ['--import', REGISTER, ...words], { ...options, environment })
}

/** Runs a program of test/node/programs on Node's own modules and on ours. */
export async function onBothProcesses(
  program: string,
  environment: Record<string, string> = {},
): Promise<{ node: Finished; ours: Finished }> {
  const words = [resolve('test/node/programs', program)]
  const [theirs, ours] = await Promise.all([
    node(words, { AT: '127.0.0.1', ...environment }),
    registered(words, { environment }),
  ])
  return { node: theirs, ours }
}
