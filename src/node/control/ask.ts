// The other end of a control socket: finds the running host and asks it. For `hourglass ss`, `ip` and `nstat`.

import { createConnection } from 'node:net'
import { EnvironmentError, UsageError } from '../../errors.ts'
import { asFile, codeOf, controlPath, runningHosts } from './control-directory.ts'
import type { ControlRequest } from './request.ts'

const START = 'start one with: hourglass up --link tap:tap0 --address 10.77.0.2/24 --os-address 10.77.0.1/24'
/** How long a host may be silent. */
const SILENCE_MILLIS = 10_000

/** Which host is meant, when nobody says: the only one. Rejects with UsageError, EnvironmentError. */
export async function findControl(): Promise<string> {
  const running = await runningHosts()
  if (running.length === 1) return controlPath(running[0]!)
  if (running.length === 0) throw new EnvironmentError('nothing to ask', 'no host of yours is running', START)
  const paths = running.map((pid) => `--control ${controlPath(pid)}`)
  throw new UsageError(`${running.length} hosts are running: say which with one of ${paths.join(', ')}`)
}

/** The rows of the answer, as they come. Throws UsageError; EnvironmentError where nobody answers, or not to the end. */
export async function* ask(path: string, request: ControlRequest): AsyncGenerator<object> {
  if (path === '') throw new UsageError('the control socket has no path: give that of a running host')
  let why = 'it gave no whole answer'
  try {
    for await (const line of lines(path, `${JSON.stringify(request)}\n`)) {
      const row = parseRow(line)
      if (row === null) break
      if ('end' in row) return
      if ('error' in row) {
        why = String(row.error)
        break
      }
      yield row
    }
  } catch (error) {
    why = reason(error)
  }
  throw new EnvironmentError(`the host at ${path}`, why, 'look whether it runs, and whether it is yours')
}

async function* lines(path: string, request: string): AsyncGenerator<string> {
  const socket = createConnection(asFile(path))
  socket.setTimeout(SILENCE_MILLIS, () => socket.destroy(new Error('it is silent')))
  socket.setEncoding('utf8')
  socket.write(request)
  let rest = ''
  // Leaving the loop destroys the socket.
  for await (const text of socket) {
    const parts = (rest + String(text)).split('\n')
    rest = parts.pop() ?? ''
    yield* parts
  }
}

function parseRow(line: string): object | null {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' ? value : null
  } catch {
    return null
  }
}

function reason(failure: unknown): string {
  const code = codeOf(failure)
  if (code === 'ENOENT') return 'there is no such socket'
  if (code === 'ECONNREFUSED') return 'nobody listens there'
  if (code === 'EACCES') return 'it is not yours'
  return failure instanceof Error ? failure.message : code
}
