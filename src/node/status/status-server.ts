// The page of `hourglass up --http`: a server of node:http whose connections are those of the host that it tells about.
// What clients may cost is bounded: how many there are, how long they may take to ask and to read, and how long the
// answers are (live-state.ts).

import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { EnvironmentError } from '../../errors.ts'
import type { Stack } from '../../stack.ts'
import { codeOf } from '../control/control-directory.ts'
import type { Net, OwnNet } from '../net/net.ts'
import { listenOn } from '../register/interpose-net.ts'
import { liveState } from './live-state.ts'
import { CONTENT_SECURITY, page, plainPage } from './page.ts'
import { contentOf } from './tables.ts'

/** What clients may cost. */
export interface StatusLimits {
  /** At once, at least 1; then one has to go for whoever comes: the oldest of those that wait for no answer. */
  readonly clients: number
  /** How long a client may take for the head of a request, and for the whole of it. */
  readonly headMillis: number
  readonly requestMillis: number
  /** How long it may be silent between two requests, and in the midst of an answer. */
  readonly keepMillis: number
  readonly silentMillis: number
  /** How often it is looked who takes too long. */
  readonly checkMillis: number
}

const LIMITS: StatusLimits = {
  clients: 128,
  headMillis: 5_000,
  requestMillis: 10_000,
  keepMillis: 5_000,
  silentMillis: 10_000,
  checkMillis: 1_000,
}
const HEAD_BYTES = 8_192
/** Requests of one client that wait for their answers, which a browser keeps at one. */
const WAITING_REQUESTS = 64

const HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': CONTENT_SECURITY,
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
}
const HTML_TYPE = 'text/html; charset=utf-8'
const JSON_TYPE = 'application/json'

interface Answer {
  readonly status: number
  readonly type: string
  readonly text: string
  readonly headers?: Readonly<Record<string, string>>
}

/** A host, or its parts. */
export interface StatusHost {
  readonly stack: Stack
  readonly net: Net
}

export class StatusServer {
  readonly port: number
  private readonly server: Server

  /** Listens on both families. Throws EnvironmentError where that cannot be. */
  static async open(host: StatusHost, port: number, wanted: Partial<StatusLimits> = {}): Promise<StatusServer> {
    const limits = { ...LIMITS, ...wanted }
    const waiting: Waiting = new WeakMap()
    const server = createServer(
      {
        headersTimeout: limits.headMillis,
        requestTimeout: limits.requestMillis,
        connectionsCheckingInterval: limits.checkMillis,
        keepAliveTimeout: limits.keepMillis,
        maxHeaderSize: HEAD_BYTES,
      },
      answerInTurn(host, waiting),
    )
    server.on('connection', keepTo(limits.clients, waiting))
    server.setTimeout(limits.silentMillis)
    listenOn(server, host.net as unknown as OwnNet, [port])
    try {
      await once(server, 'listening')
    } catch (error) {
      const taken = codeOf(error) === 'EADDRINUSE'
      const why = taken ? 'something on the host listens there already' : codeOf(error)
      throw new EnvironmentError(`the page on TCP port ${port}`, why, 'give another port')
    }
    return new StatusServer(server, port)
  }

  private constructor(server: Server, port: number) {
    this.server = server
    this.port = port
  }

  /** Takes no more connections. Those that there are end with the host. */
  close(): void {
    this.server.close()
  }
}

/** The answers that each client waits for, the one under way first. */
type Waiting = WeakMap<Socket, (() => void)[]>

/** Closes a client for each one above the limit: those who only hold on to their connections keep nobody out. */
function keepTo(limit: number, waiting: Waiting): (client: Socket) => void {
  const clients = new Set<Socket>()
  const isIdle = (client: Socket): boolean => (waiting.get(client)?.length ?? 0) === 0
  return (client) => {
    const before = [...clients]
    clients.add(client)
    client.once('close', () => clients.delete(client))
    if (before.length < limit) return
    // One whose answer takes so long reads it slowly, or not at all.
    const chosen = before.find(isIdle) ?? before[0]!
    clients.delete(chosen)
    chosen.destroy()
  }
}

/**
 * Answers each client's requests one after another: an answer is made when the one before it has left. Node takes whatever
 * was pipelined at once, and answers that nobody reads would fill the memory.
 */
function answerInTurn(
  host: StatusHost,
  waiting: Waiting,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    const { socket } = request
    const turns = waiting.get(socket) ?? []
    waiting.set(socket, turns)
    if (turns.length >= WAITING_REQUESTS) {
      socket.destroy()
      return
    }
    response.once('finish', () => {
      turns.shift()
      turns[0]?.()
    })
    // What comes with a request is thrown away, but first: left unread, it would make the end a reset (RFC 2525
    // §2.17), in which the answer may be lost.
    request.resume()
    const begin = (): void => {
      if (request.readableEnded) respond(host, request, response)
      else request.once('end', () => respond(host, request, response))
    }
    turns.push(begin)
    if (turns.length === 1) begin()
  }
}

function respond(host: StatusHost, request: IncomingMessage, response: ServerResponse): void {
  const { status, type, text, headers } = answerTo(host, request)
  response.writeHead(status, {
    ...HEADERS,
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(text),
    ...headers,
  })
  // Of an answer to HEAD, Node sends the head alone.
  response.end(text)
}

function answerTo(host: StatusHost, { method, url = '' }: IncomingMessage): Answer {
  if (!URL.canParse(url, 'http://host')) return sentence(400, 'Bad request', 'The request names no place.')
  const { pathname, searchParams } = new URL(url, 'http://host')
  if (pathname !== '/' && pathname !== '/state.json') {
    return sentence(404, 'Not found', 'There is nothing here: only / and /state.json.')
  }
  if (method !== 'GET' && method !== 'HEAD') {
    const refusal = sentence(405, 'Method not allowed', 'This can be looked at only: GET or HEAD.')
    return { ...refusal, headers: { Allow: 'GET, HEAD' } }
  }
  const state = liveState(host.stack)
  if (pathname === '/') return { status: 200, type: HTML_TYPE, text: page(state) }
  const value = searchParams.has('cells') ? contentOf(state) : state
  return { status: 200, type: JSON_TYPE, text: `${JSON.stringify(value)}\n` }
}

const sentence = (status: number, title: string, text: string): Answer => ({
  status,
  type: HTML_TYPE,
  text: plainPage(title, text),
})
