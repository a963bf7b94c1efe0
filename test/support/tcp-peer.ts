// A TCP peer made by hand: it says what a test says, and remembers what the host answered. The host is 10.0.0.1, on a
// cable of bare IP packets.

import type { PagePool } from '../../src/buf/page.ts'
import type { World } from '../../src/sim/world.ts'
import type { Stack, StackOptions } from '../../src/stack.ts'
import type { Connection } from '../../src/tcp/connection.ts'
import { listen } from '../../src/tcp/open.ts'
import { millis } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { PROTOCOL_TCP } from '../../src/wire/ipv4.ts'
import { type Seq, seq, seqAdd } from '../../src/wire/sequence.ts'
import {
  ACK,
  emitTcp,
  FIN,
  PSH,
  RST,
  SYN,
  tcpAck,
  tcpFlags,
  tcpHeaderLength,
  tcpSeq,
  tcpUrgentPointer,
  tcpWindow,
  URG,
} from '../../src/wire/tcp.ts'
import { emitTcpOptions, readTcpOptions, TcpOptions, tcpOptionsLength } from '../../src/wire/tcp-options.ts'
import { joined, octetsOf } from '../wire/frames.ts'
import { naiveChecksum } from '../wire/naive-checksum.ts'
import { type Packet4, packet4, pseudoHeader } from './packets.ts'
import { barePeer, type Peer } from './peer.ts'

export const HOST_PORT = 80
export const PEER_PORT = 4_000
/** Close to the wrap, so that every script crosses it. */
export const PEER_ISS = seq(-2)

export interface Said {
  seq?: Seq
  ack?: Seq
  flags: number
  window?: number
  data?: Uint8Array
  options?: Partial<Omit<TcpOptions, 'clear' | 'sackLeft' | 'sackRight'>> & { sack?: readonly (readonly [Seq, Seq])[] }
  port?: number
  /** Sets URG as well. */
  urgentPointer?: number
}

export interface Answer {
  readonly seq: Seq
  readonly ack: Seq
  readonly flags: number
  /** Like `SA`, `.`, `FA`, `R`. */
  readonly text: string
  readonly window: number
  readonly length: number
  /** 0 without URG. */
  readonly urgentPointer: number
  readonly options: TcpOptions
}

export class TcpPeer {
  readonly peer: Peer
  readonly host: Stack
  readonly world: World
  /** What the peer sends next, and expects next. */
  nxt: Seq = PEER_ISS
  expects: Seq = seq(0)
  iss: Seq = seq(0)
  connection: Connection | null = null

  constructor(world: World, _pool: PagePool, stack: Partial<StackOptions> = {}) {
    this.world = world
    this.peer = barePeer(world, { stack })
    this.host = this.peer.host
  }

  listen(backlog = 10) {
    return listen(this.host.tcp, { family: 4, port: HOST_PORT, backlog }, {})
  }

  /** Sends a segment; numbers left out are the next ones. */
  say(said: Said): Answer[] {
    this.peer.send(this.packet(said))
    return this.heard()
  }

  /** The packet that say() sends; `ip` says what is unusual about its IP header. */
  packet(said: Said, ip: Packet4 = {}): Uint8Array {
    const { data = new Uint8Array(0), port = PEER_PORT } = said
    const options = new TcpOptions()
    const { sack = [], ...plain } = said.options ?? {}
    Object.assign(options, plain)
    options.sackCount = sack.length
    sack.forEach(([left, right], index) => {
      options.sackLeft[index] = left
      options.sackRight[index] = right
    })
    const headerLength = 20 + tcpOptionsLength(options)
    const { view, bytes } = octetsOf(headerLength)
    emitTcp(view, 0, {
      sourcePort: port,
      destinationPort: HOST_PORT,
      seq: said.seq ?? this.nxt,
      ack: (said.flags & ACK) !== 0 ? (said.ack ?? this.expects) : seq(0),
      headerLength,
      flags: said.flags | (said.urgentPointer === undefined ? 0 : URG),
      window: said.window ?? 65_535,
      checksum: 0,
      urgentPointer: said.urgentPointer ?? 0,
    })
    emitTcpOptions(view, 20, options)
    const segment = joined(bytes.subarray(0, headerLength), data)
    const from = IpAddress.from(ip.source ?? '10.0.0.2')
    const to = IpAddress.from(ip.destination ?? '10.0.0.1')
    const sum = naiveChecksum(joined(pseudoHeader(from, to, PROTOCOL_TCP, segment.length), segment))
    new DataView(segment.buffer, segment.byteOffset).setUint16(16, sum)
    return packet4({ ...ip, protocol: PROTOCOL_TCP, payload: segment })
  }

  /** What the host sent since the last call. */
  heard(): Answer[] {
    return this.peer.packets().map(({ payload }) => {
      const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
      const headerLength = tcpHeaderLength(view, 0)
      const options = new TcpOptions()
      readTcpOptions(view, 0, headerLength, options)
      const flags = tcpFlags(view, 0)
      return {
        seq: tcpSeq(view, 0),
        ack: tcpAck(view, 0),
        flags,
        text: textOf(flags),
        window: tcpWindow(view, 0),
        length: payload.length - headerLength,
        urgentPointer: (flags & URG) === 0 ? 0 : tcpUrgentPointer(view, 0),
        options,
      }
    })
  }

  /** Lets time pass, and returns what was heard. */
  wait(milliseconds: number): Answer[] {
    this.world.runFor(millis(milliseconds))
    return this.heard()
  }

  /** The handshake, the peer's side active: the host's connection is ESTABLISHED and accepted. */
  establish(options: Said['options'] = { mss: 1_460 }, listener = this.listen()): Connection {
    this.nxt = PEER_ISS
    const [reply] = this.say({ flags: SYN, options })
    this.iss = reply!.seq
    this.expects = seqAdd(reply!.seq, 1)
    this.nxt = seqAdd(PEER_ISS, 1)
    this.say({ flags: ACK })
    const connection = listener.accepted.shift()!
    this.connection = connection
    return connection
  }
}

const textOf = (flags: number): string =>
  [
    [SYN, 'S'],
    [FIN, 'F'],
    [RST, 'R'],
    [PSH, 'P'],
    [ACK, '.'],
  ]
    .filter(([flag]) => (flags & (flag as number)) !== 0)
    .map(([, letter]) => letter)
    .join('')
