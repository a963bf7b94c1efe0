// The control socket of a running host: a Unix socket (mode 0600) on which other programs of the same user ask what
// the host is doing. `hourglass up` and `run` open one; `hourglass ss`, `ip` and `nstat` ask it (ask.ts).

import { once } from 'node:events'
import { chmodSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { EnvironmentError, UsageError } from '../../errors.ts'
import type { Stack } from '../../stack.ts'
import { asFile, codeOf, controlPath, isLeftOver, makeControlDirectory } from './control-directory.ts'
import { counterRows, interfaceRows, neighborRows, routeRows, socketRows } from './host-state.ts'
import { type ControlEnd, type ControlRequest, parseRequest } from './request.ts'

/** A request is one short line. */
const REQUEST_BYTES = 1_024
/** How long a client may take to ask, in all, and how long it may be silent in the midst of an answer. */
const CLIENT_MILLIS = 5_000
const CLIENTS = 16
/** Neither group nor others. */
const UMASK = 0o177
const OWNER_ONLY = 0o600
/** What the system's sun_path holds; Node cuts longer ones off without a word. */
const MOST_PATH_BYTES = 107

export class ControlSocket {
  readonly path: string
  private readonly server: Server
  private readonly clients = new Set<Socket>()

  /** Default path: by the process, in controlDirectory(). Throws UsageError, EnvironmentError. */
  static async open(stack: Stack, given?: string, clientMillis = CLIENT_MILLIS): Promise<ControlSocket> {
    const path = given === undefined ? undefined : asFile(given)
    if (path === undefined) makeControlDirectory()
    else checkPath(path)
    const control = new ControlSocket(stack, path ?? controlPath(process.pid), clientMillis)
    // What an earlier process of our number left behind.
    if (path === undefined || (await isLeftOver(path))) rmSync(control.path, { force: true })
    await control.listen()
    return control
  }

  private constructor(stack: Stack, path: string, clientMillis: number) {
    this.path = path
    this.server = createServer((client) => this.serve(stack, client, clientMillis))
    this.server.maxConnections = CLIENTS
    this.server.unref()
  }

  private async listen(): Promise<void> {
    const before = process.umask(UMASK)
    try {
      this.server.listen(this.path)
    } finally {
      process.umask(before)
    }
    try {
      await once(this.server, 'listening')
      chmodSync(this.path, OWNER_ONLY)
    } catch (error) {
      const mend = 'give a path that is free, shorter than 108 bytes and in a directory of yours, or --no-control'
      throw new EnvironmentError(`the control socket ${this.path}`, codeOf(error), mend)
    }
  }

  private serve(stack: Stack, client: Socket, clientMillis: number): void {
    this.clients.add(client)
    client.unref()
    client.setTimeout(clientMillis, () => client.destroy())
    // One that asks a letter at a time is never silent.
    const patience = setTimeout(() => client.destroy(), clientMillis).unref()
    client.on('error', () => client.destroy())
    client.on('close', () => {
      clearTimeout(patience)
      this.clients.delete(client)
    })
    client.setEncoding('utf8')
    let asked = ''
    const hear = (text: string): void => {
      asked += text
      const end = asked.indexOf('\n')
      if (end < 0 && asked.length <= REQUEST_BYTES) return
      clearTimeout(patience)
      client.off('data', hear)
      client.resume()
      const line = end < 0 ? asked : asked.slice(0, end)
      // A client that is gone needs no answer.
      pipeline(Readable.from(answer(stack, line)), client).catch(() => client.destroy())
    }
    client.on('data', hear)
  }

  /** Closes the socket and removes its file. A second call does nothing. */
  close(): void {
    for (const client of this.clients) client.destroy()
    this.server.close()
  }
}

function checkPath(path: string): void {
  const bytes = Buffer.byteLength(path)
  if (bytes > 0 && bytes <= MOST_PATH_BYTES && !path.includes('\0')) return
  throw new UsageError(`the control socket's path has ${bytes} bytes: give one of 1 to ${MOST_PATH_BYTES}`)
}

function* answer(stack: Stack, line: string): Generator<string> {
  let end: ControlEnd = { end: true }
  try {
    for (const row of rows(stack, parseRequest(line))) yield `${JSON.stringify(row)}\n`
  } catch (error) {
    end = { error: error instanceof Error ? error.message : String(error) }
  }
  yield `${JSON.stringify(end)}\n`
}

function rows(stack: Stack, { info, show }: ControlRequest): Generator<object> {
  switch (show) {
    case 'interfaces':
      return interfaceRows(stack)
    case 'routes':
      return routeRows(stack)
    case 'neighbors':
      return neighborRows(stack)
    case 'sockets':
      return socketRows(stack, info)
    case 'counters':
      return counterRows(stack.counters)
  }
}
