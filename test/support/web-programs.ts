// Programs of the web on both ends of connections, the same one over Node's own net and over ours: each of Node's
// modules and of the libraries takes sockets by the hook that it has, and knows nothing of what is below.

import type { EventEmitter } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import system from 'node:net'
import type { Duplex } from 'node:stream'
import { type AnyNet, type AnyServer, type AnySocket, localHost, once } from './net-host.ts'

/** Where a program runs. What it opens is closed when it is over. */
export interface Place {
  readonly net: AnyNet
  /** Hands each connection to a server of Node's or of a library, and tells the port. */
  serve(server: EventEmitter, options?: { allowHalfOpen: boolean }): Promise<number>
  connect(port: number): AnySocket
  agent(port: number, options?: http.AgentOptions): http.Agent
  /** Called at the end, the last one first. */
  atEnd(close: () => unknown): void
}

/** Runs the program over `net`, and closes what it left open. */
export async function atPlace<T>(net: AnyNet, program: (place: Place) => Promise<T>): Promise<T> {
  const closings: (() => unknown)[] = []
  const atEnd = (close: () => unknown): void => {
    closings.unshift(close)
  }
  const connect = (port: number): AnySocket => {
    const socket = net.connect(port, '127.0.0.1')
    atEnd(() => socket.destroy())
    return socket
  }
  const serve = async (server: EventEmitter, options = { allowHalfOpen: true }): Promise<number> => {
    const below = net.createServer(options, (socket) => {
      atEnd(() => socket.destroy())
      server.emit('connection', socket)
    })
    below.listen(0, '127.0.0.1')
    atEnd(() => below.close())
    await once(below, 'listening')
    return (below.address() as AddressInfo).port
  }
  const agent = (port: number, options: http.AgentOptions = { keepAlive: true }): http.Agent => {
    const made = new http.Agent(options)
    made.createConnection = () => connect(port) as Duplex
    atEnd(() => made.destroy())
    return made
  }
  try {
    return await program({ net, serve, connect, agent, atEnd })
  } finally {
    for (const close of closings) await close()
  }
}

/** What the program gives on a host of ours. */
export async function onOurs<T>(program: (place: Place) => Promise<T>): Promise<T> {
  const host = localHost()
  try {
    return await atPlace(host.net, program)
  } finally {
    host.close()
  }
}

/** What the program gives on Node's own net and on ours. */
export async function everywhere<T>(program: (place: Place) => Promise<T>): Promise<{ node: T; ours: T }> {
  return { node: await atPlace(system, program), ours: await onOurs(program) }
}

/** Writes down what an emitter says, in its order: an event with the code of its error, or the flag of its close. */
export function follow(emitter: EventEmitter, events: readonly string[]): string[] {
  const said: string[] = []
  for (const event of events) {
    emitter.on(event, (word?: unknown) => {
      if (word instanceof Error)
        said.push(`${event} ${(word as NodeJS.ErrnoException).code ?? word.name}: ${word.message}`)
      else said.push(typeof word === 'boolean' ? `${event} ${word}` : event)
    })
  }
  return said
}

export const closed = (emitter: EventEmitter): Promise<unknown> => once(emitter, 'close')

export interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly text: string
  readonly trailers: NodeJS.Dict<string>
  readonly reused: boolean
}

/** Asks, and reads the answer to its end. */
export async function ask(options: http.RequestOptions, body?: string | Buffer): Promise<Answer> {
  const request = http.request({ host: 'ours.test', ...options })
  request.end(body)
  return answerOf(request)
}

export async function answerOf(request: http.ClientRequest): Promise<Answer> {
  const [response] = (await orError(request, 'response')) as [http.IncomingMessage]
  const { statusCode, headers, trailers } = response
  const { date: _, ...rest } = headers
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  // Then its socket is free for the next one.
  if (!request.closed) await closed(request)
  const text = Buffer.concat(chunks).toString()
  return { status: statusCode!, headers: rest, text, trailers, reused: request.reusedSocket }
}

/** What an emitter says next; rejects where it fails first. */
export const orError = (emitter: EventEmitter, event: string): Promise<unknown[]> =>
  new Promise((resolve, reject) => {
    emitter.once('error', reject)
    emitter.once(event, (...words: unknown[]) => resolve(words))
  })

export type { AnyServer, AnySocket }
