// An HTTP/1.1 server (RFC 9112) over our sockets, as much of one as curl and ab ask of it in tests of TCP:
//
//   GET /SIZE/SEED   SIZE pseudo-random bytes from SEED
//   GET /            a few bytes
//   PUT /            takes a body of any size, and answers with its length and SHA-256
//
// It streams: a body is never held as a whole. Connections are kept alive where the client keeps them.

import { createHash } from 'node:crypto'
import { TcpListener } from '../../src/socket/tcp-listener.ts'
import type { TcpSocket } from '../../src/socket/tcp-socket.ts'
import type { Stack } from '../../src/stack.ts'
import { type TcpInfo, tcpInfo } from '../../src/tcp/info.ts'
import { PseudoRandomBytes } from './pseudo-random.ts'

export const HTTP_PORT = 80
const MOST_HEAD_BYTES = 8_192
const encoder = new TextEncoder()

/** What the server says of a request that it answered to the end. */
export interface Served {
  readonly method: string
  /** Of the body, whichever way it went. */
  readonly bytes: number
  readonly sha256: string
}

export interface HttpServer {
  readonly served: readonly Served[]
  /** Connections accepted, and those of them that ended in an error. */
  readonly counts: { accepted: number; failed: number }
  /** What tcp_info says of each connection after its last answer. */
  readonly infos: readonly TcpInfo[]
  close(): void
}

interface Head {
  readonly method: string
  readonly path: string
  readonly headers: ReadonlyMap<string, string>
  readonly keepAlive: boolean
  readonly isOld: boolean
}

/** Serves both families. */
export function serveHttp(stack: Stack, port = HTTP_PORT): HttpServer {
  const listener = new TcpListener(stack, { family: 6, port })
  const served: Served[] = []
  const infos: TcpInfo[] = []
  const counts = { accepted: 0, failed: 0 }
  const accept = async (): Promise<void> => {
    for await (const socket of listener) {
      counts.accepted++
      void new Exchange(socket, served)
        .run()
        .then(() => {
          infos.push(tcpInfo(socket.connection, stack.tcp.config, stack.clock.now()))
          socket.close()
        })
        .catch(() => {
          // The client is gone, or was never one: the test sees it in the count.
          counts.failed++
          socket.abort()
        })
    }
  }
  void accept()
  return { served, counts, infos, close: () => listener.close() }
}

/** The requests of one connection, one after the other. */
class Exchange {
  private readonly socket: TcpSocket
  private readonly served: Served[]
  private readonly buffer = new Uint8Array(256 * 1_024)
  /** What was read and not yet used: buffer[at, end). */
  private at = 0
  private end = 0

  constructor(socket: TcpSocket, served: Served[]) {
    this.socket = socket
    this.served = served
  }

  async run(): Promise<void> {
    for (let head = await this.readHead(); head !== null; head = await this.readHead()) {
      if (head.method === 'PUT') await this.take(head)
      else await this.give(head)
      if (!head.keepAlive) return
    }
  }

  private async give(head: Head): Promise<void> {
    const [, size = '', seed = ''] = /^\/([0-9]+)\/([0-9]+)$/.exec(head.path) ?? ['', '12', '0']
    await this.answer(head, Number(size))
    const hash = createHash('sha256')
    for (const chunk of new PseudoRandomBytes(Number(seed), Number(size))) {
      hash.update(chunk)
      await this.socket.write(chunk)
    }
    this.served.push({ method: head.method, bytes: Number(size), sha256: hash.digest('hex') })
  }

  private async take(head: Head): Promise<void> {
    // RFC 9110 §10.1.1: curl waits a second for it before it sends a long body.
    if (head.headers.get('expect') === '100-continue') await this.write('HTTP/1.1 100 Continue\r\n\r\n')
    const hash = createHash('sha256')
    const bytes = Number(head.headers.get('content-length'))
    for (let left = bytes; left > 0; ) {
      if (this.at === this.end && !(await this.fill())) throw new Error('the body ended too soon')
      const count = Math.min(left, this.end - this.at)
      hash.update(this.buffer.subarray(this.at, this.at + count))
      this.at += count
      left -= count
    }
    const sha256 = hash.digest('hex')
    this.served.push({ method: head.method, bytes, sha256 })
    const text = `${bytes} ${sha256}\n`
    await this.answer(head, text.length)
    await this.write(text)
  }

  private answer(head: Head, length: number): Promise<void> {
    const connection = head.keepAlive ? 'keep-alive' : 'close'
    const version = head.isOld ? 'HTTP/1.0' : 'HTTP/1.1'
    return this.write(`${version} 200 OK\r\nContent-Length: ${length}\r\nConnection: ${connection}\r\n\r\n`)
  }

  private write(text: string): Promise<void> {
    return this.socket.write(encoder.encode(text))
  }

  /** The next request's head; null: the client has finished. */
  private async readHead(): Promise<Head | null> {
    for (;;) {
      const text = Buffer.from(this.buffer.buffer, this.at, this.end - this.at).toString('latin1')
      const length = text.indexOf('\r\n\r\n')
      if (length >= 0) {
        this.at += length + 4
        return parseHead(text.slice(0, length))
      }
      if (text.length > MOST_HEAD_BYTES) throw new Error('the head does not end')
      this.buffer.copyWithin(0, this.at, this.end)
      this.end -= this.at
      this.at = 0
      if (!(await this.fill())) {
        if (text !== '') throw new Error('the client ended within a head')
        return null
      }
    }
  }

  /** False: the client has finished. */
  private async fill(): Promise<boolean> {
    if (this.at === this.end) {
      this.at = 0
      this.end = 0
    }
    const count = await this.socket.read(this.buffer.subarray(this.end))
    this.end += count
    return count > 0
  }
}

function parseHead(text: string): Head {
  const [first = '', ...lines] = text.split('\r\n')
  const match = /^([A-Z]+) (\S+) HTTP\/1\.([01])$/.exec(first)
  if (match === null) throw new Error(`no request line: ${first}`)
  const headers = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    headers.set(
      line.slice(0, colon).toLowerCase(),
      line
        .slice(colon + 1)
        .trim()
        .toLowerCase(),
    )
  }
  const wish = headers.get('connection')
  const isOld = match[3] === '0'
  const keepAlive = isOld ? wish === 'keep-alive' : wish !== 'close'
  return { method: match[1]!, path: match[2]!, headers, keepAlive, isOld }
}
