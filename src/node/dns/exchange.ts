// One question asked of one server: over UDP from a port of its own, and over TCP where the reply was truncated
// (RFC 7766 §5). What is not the reply to it is counted and passed over, and the time goes on running.

import { TcpSocket } from '../../socket/tcp-socket.ts'
import { type Datagram, UdpSocket } from '../../socket/udp-socket.ts'
import type { Stack } from '../../stack.ts'
import type { IpAddress } from '../../wire/address.ts'
import type { HostTimer } from '../host-timers.ts'
import type { NodeHost } from '../node-host.ts'
import { type DnsQuestion, type DnsReply, encodeQuestion, readReply } from './wire.ts'

export interface DnsServer {
  readonly address: IpAddress
  readonly port: number
  /** For link-local addresses; 0: by the routes. */
  readonly interfaceIndex: number
}

/** What a resolver did so far. */
export interface DnsCounters {
  questions: number
  replies: number
  /** Datagrams that answer another question: late ones, or guesses of a forger. */
  mismatched: number
  malformed: number
  truncated: number
  timeouts: number
  /** Servers that could not be reached. */
  unreachable: number
  cached: number
  coalesced: number
}

export interface ExchangeOptions {
  readonly host: NodeHost
  readonly server: DnsServer
  /** The address to ask from; null: chosen. */
  readonly local: IpAddress | null
  readonly question: DnsQuestion
  readonly edns: boolean
  readonly timeoutMillis: number
  readonly counters: DnsCounters
  /** Called once, never from within the constructor. */
  readonly done: (outcome: DnsReply | 'timeout' | 'unreachable') => void
}

const MAX_MESSAGE = 65_535
/** Longer than any reply over UDP that was asked for. */
const MAX_DATAGRAM = 4_096
const LENGTH_PREFIX = 2

export class Exchange {
  private readonly options: ExchangeOptions
  private readonly stack: Stack
  private readonly id: number
  private readonly timer: HostTimer
  private readonly abort = new AbortController()
  private udp: UdpSocket | null = null
  private finished = false

  constructor(options: ExchangeOptions) {
    this.options = options
    this.stack = options.host.stack
    this.id = this.stack.random.below(0x1_0000)
    this.timer = options.host.timers.set(options.timeoutMillis, () => this.finish('timeout'))
    options.counters.questions++
    this.askByUdp()
  }

  /** Nothing is told any more. */
  cancel(): void {
    this.stop()
  }

  private get bytes(): Uint8Array {
    return encodeQuestion(this.id, this.options.question, this.options.edns)
  }

  private askByUdp(): void {
    const { server, local } = this.options
    try {
      const udp = new UdpSocket(this.stack, {
        family: server.address.family,
        ...(local === null ? {} : { address: local }),
      })
      this.udp = udp
      udp.endpoint.onReadable = () => this.readDatagrams(udp)
      // Connected: another sender's datagrams never come here (RFC 5452 §9.1).
      udp.connect(server.address, server.port, server.interfaceIndex)
      udp.send(this.bytes)
    } catch {
      // No way to the server, no port, no memory: the next server may do.
      setImmediate(() => this.finish('unreachable'))
    }
  }

  private readDatagrams(udp: UdpSocket): void {
    while (!this.finished) {
      let datagram: Datagram | null
      try {
        datagram = udp.tryReceive()
      } catch {
        // An ICMP error about the question.
        return this.finish('unreachable')
      }
      if (datagram === null) {
        // Closed by nobody here, so with the host: its timers run no more either.
        if (udp.closed) setImmediate(() => this.finish('unreachable'))
        return
      }
      const reply = this.read(datagram.bytes, MAX_DATAGRAM)
      if (typeof reply === 'string') continue
      if (reply.truncated) {
        this.options.counters.truncated++
        this.closeUdp()
        void this.askByTcp()
        return
      }
      this.finish(reply)
    }
  }

  private read(bytes: Uint8Array, limit: number): DnsReply | 'mismatch' | 'malformed' {
    const { counters, question } = this.options
    const reply = bytes.length > limit ? 'malformed' : readReply(bytes, this.id, question)
    if (reply === 'mismatch') counters.mismatched++
    else if (reply === 'malformed') counters.malformed++
    return reply
  }

  private async askByTcp(): Promise<void> {
    const { server, local } = this.options
    const { signal } = this.abort
    let socket: TcpSocket | null = null
    try {
      socket = await TcpSocket.connect(this.stack, {
        remoteAddress: server.address,
        remotePort: server.port,
        interfaceIndex: server.interfaceIndex,
        ...(local === null ? {} : { localAddress: local }),
        signal,
      })
      const { bytes } = this
      await socket.write(Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]), { signal })
      const message = await readMessage(socket, signal)
      const reply = message === null ? 'malformed' : this.read(message, MAX_MESSAGE)
      if (typeof reply === 'string') this.finish('unreachable')
      else this.finish(reply.truncated ? 'unreachable' : reply)
    } catch {
      this.finish('unreachable')
    } finally {
      socket?.close()
    }
  }

  private finish(outcome: DnsReply | 'timeout' | 'unreachable'): void {
    if (this.finished) return
    this.stop()
    const { counters, done } = this.options
    if (outcome === 'timeout') counters.timeouts++
    else if (outcome === 'unreachable') counters.unreachable++
    else counters.replies++
    done(outcome)
  }

  private stop(): void {
    this.finished = true
    this.options.host.timers.cancel(this.timer)
    this.closeUdp()
    this.abort.abort()
  }

  private closeUdp(): void {
    this.udp?.close()
    this.udp = null
  }
}

/** The first message on the stream; null: it ended before. */
async function readMessage(socket: TcpSocket, signal: AbortSignal): Promise<Uint8Array | null> {
  const buffer = new Uint8Array(LENGTH_PREFIX + MAX_MESSAGE)
  let have = 0
  let want = LENGTH_PREFIX
  while (have < want) {
    const count = await socket.read(buffer.subarray(have, want), { signal })
    if (count === 0) return null
    have += count
    if (have === LENGTH_PREFIX) want = LENGTH_PREFIX + (buffer[0]! << 8) + buffer[1]!
  }
  return buffer.subarray(LENGTH_PREFIX, have)
}
