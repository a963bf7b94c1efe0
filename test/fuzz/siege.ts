// TCP under siege: peers that say anything at all, at the edges of what each connection knows, to connections in every
// state, while programs write, read, shut and let go. siege() says what broke; the rules are in siege-rules.ts.

import { Packet } from '../../src/buf/packet.ts'
import { PagePool } from '../../src/buf/page.ts'
import { NetError } from '../../src/errors.ts'
import { type Device, NO_OFFLOADS } from '../../src/link/device.ts'
import { SeededRandom } from '../../src/random.ts'
import { TcpListener } from '../../src/socket/tcp-listener.ts'
import { TcpSocket } from '../../src/socket/tcp-socket.ts'
import { Stack } from '../../src/stack.ts'
import type { Connection } from '../../src/tcp/connection.ts'
import type { ConnectionOptions } from '../../src/tcp/connection-options.ts'
import { connect } from '../../src/tcp/open.ts'
import { timestampOf } from '../../src/tcp/timestamp.ts'
import { after, type Micros, micros, millis, NEVER, seconds } from '../../src/time.ts'
import { VirtualClock } from '../../src/virtual-clock.ts'
import { IpAddress, IpPrefix } from '../../src/wire/address.ts'
import { fold, sumOctets } from '../../src/wire/checksum.ts'
import { PROTOCOL_TCP, pseudoHeaderSum } from '../../src/wire/ipv4.ts'
import { type Seq, seq, seqDiff } from '../../src/wire/sequence.ts'
import { ACK, emitTcp, FIN, PSH, RST, SYN, URG } from '../../src/wire/tcp.ts'
import { fragment6Of, icmp4, icmp6, packet4, packet6, viewOf } from '../support/packets.ts'
import { octetsFrom } from '../wire/frames.ts'
import { acksOf, edgesOf, violationOf } from './siege-rules.ts'

const PORTS = [80, 81, 82] as const
const CALLERS = 40
/** Packets without data that one segment may call forth: its answer, and one that it set free. */
const MOST_BARE = 3
const MOST_BYTES = 40 * 1_024 * 1_024
const FLAGS = [ACK, ACK, ACK, ACK, ACK | PSH, ACK | FIN, SYN, SYN | ACK, RST, RST | ACK, FIN, 0, SYN | FIN, ACK | URG]
const QUIET = seconds(4_000)

/** What was sent: bare packets and packets with data are counted; the latest are kept to be quoted in errors. */
class Gate implements Device {
  readonly name = 'gate'
  readonly medium = 'ip'
  readonly mtu = 1_500
  readonly offloads = NO_OFFLOADS
  readonly macAddress = null
  onReceive: ((packet: Packet) => void) | null = null
  bare = 0
  full = 0
  fault = ''
  readonly latest: Uint8Array[] = []

  transmit(packet: Packet): boolean {
    const bytes = packet.toBytes()
    packet.release()
    const view = viewOf(bytes)
    const at = bytes[0]! >>> 4 === 4 ? 20 : 40
    const length = bytes[0]! >>> 4 === 4 ? view.getUint16(2) : 40 + view.getUint16(4)
    if (length !== bytes.length || length > this.mtu) this.fault = `${length} bytes were sent as ${bytes.length}`
    if (bytes.length - at > (bytes[at + 12]! >>> 4) * 4) this.full++
    else this.bare++
    if (this.latest.length >= 32) this.latest.shift()
    this.latest.push(bytes)
    return true
  }

  deadline(): Micros {
    return NEVER
  }

  poll(): void {}

  close(): void {}
}

interface Ends {
  readonly remote: IpAddress
  readonly remotePort: number
  readonly localPort: number
}

export class Siege {
  readonly clock = new VirtualClock(0 as Micros)
  readonly pool: PagePool
  readonly stack: Stack
  readonly gate = new Gate()
  readonly random: SeededRandom
  readonly statesHit = new Set<string>()
  private readonly listeners: TcpListener[]
  private readonly sockets = new Map<Connection, TcpSocket>()
  private readonly bytes = new Uint8Array(70_000)
  /** Percent of the segments that are as they should be. */
  private readonly friendly: number
  private nextCaller = 0

  constructor(seed: number, pool = new PagePool({ limitBytes: 64 * 1_024 * 1_024 })) {
    this.random = new SeededRandom(seed)
    this.pool = pool
    const { random } = this
    this.friendly = this.one([50, 80, 93])
    const config = {
      timestamps: random.below(4) > 0,
      sack: random.below(4) > 0,
      windowScaling: random.below(4) > 0,
      timeWaitLimit: 8,
      connectionLimit: 400,
    }
    const isn = { next: () => seq(-random.below(60_000)) }
    this.stack = new Stack({ clock: this.clock, random: random.fork('stack'), pool, tcp: { config, isn } })
    const addresses = ['10.0.0.1/16', 'fd00::1/64'].map((text) => IpPrefix.from(text))
    this.stack.addInterface({ name: 'gate', device: this.gate, addresses })
    this.pass(seconds(3))
    this.listeners = PORTS.map(
      (port, index) => new TcpListener(this.stack, { family: 6, port, backlog: [100, 3, 1][index]! }, this.options()),
    )
  }

  /** One blow or one wish of a program, and what follows from it. Returns what is wrong now; '' when nothing is. */
  step(): string {
    const { clock, gate, random, stack } = this
    const connection = this.pick()
    gate.bare = 0
    gate.full = 0
    const kind = random.below(100)
    let single = false
    if (kind < 66 && connection !== null) {
      this.hit(connection)
      single = true
    } else if (kind < 73 || connection === null) this.knock()
    else if (kind < 95) this.program(connection)
    else if (kind < 98) this.complain()
    else this.dial()
    stack.poll(clock.now())
    if (single && gate.bare > MOST_BARE) return `${gate.bare} bare packets for one segment`
    if (connection !== null) {
      const wrong = violationOf(connection)
      if (wrong !== '') return wrong
    }
    this.accept()
    stack.poll(clock.now())
    this.wait()
    return gate.fault
  }

  /** What is wrong with the whole; '' when nothing is. */
  violation(): string {
    const { pool, stack } = this
    for (const connection of stack.tcp.demux.values()) {
      const wrong = violationOf(connection)
      if (wrong !== '') return wrong
    }
    if (pool.inUseBytes > MOST_BYTES) return `${pool.inUseBytes} bytes of pages`
    if (stack.tcp.memory.bytes < 0) return `TCP holds ${stack.tcp.memory.bytes} bytes`
    return ''
  }

  /** Nobody says anything any more, and every program lets go: in the end nothing is left. */
  aftermath(): string {
    const { pool, sockets, stack } = this
    for (const socket of sockets.values()) socket.close()
    for (const listener of this.listeners) listener.close()
    this.pass(QUIET)
    const [left] = [...stack.tcp.demux.values()]
    if (left !== undefined) return `${left.state} is left for ever: ${JSON.stringify(left.timers)}`
    if (stack.tcp.memory.bytes !== 0) return `${stack.tcp.memory.bytes} bytes are still charged`
    return pool.inUse === 0 ? '' : `${pool.inUse} pages are still in use`
  }

  /** Lets virtual time pass as a driver does; a machine that stays due for ever is found. */
  pass(length: Micros): void {
    const { clock, stack } = this
    const until = after(clock.now(), length)
    let [at, count] = [0, 0]
    for (let next = stack.deadline(); next <= until; next = stack.deadline()) {
      clock.advance(next)
      stack.poll(clock.now())
      count = clock.now() === at ? count + 1 : 0
      at = clock.now()
      if (count > 1_000) throw new Error(`the stack is due at ${at} again and again`)
    }
    clock.advance(until)
  }

  private pick(): Connection | null {
    const { demux } = this.stack.tcp
    const held = this.sockets.size
    // Those that a program holds have the most to lose.
    if (held > 0 && this.often(60)) return [...this.sockets.keys()][this.random.below(held)]!
    if (demux.size === 0) return null
    let left = this.random.below(demux.size)
    for (const connection of demux.values()) if (left-- === 0) return connection
    return null
  }

  private one<T>(from: readonly T[]): T {
    return from[this.random.below(from.length)]!
  }

  private often(percent: number): boolean {
    return this.random.below(100) < percent
  }

  private near(base: number): Seq {
    const { random } = this
    const kind = random.below(20)
    if (kind < 12) return seq(base)
    if (kind < 15) return seq(base + random.below(5) - 2)
    if (kind < 17) return seq(base + random.below(6_000) - 3_000)
    if (kind < 18) return seq(base + random.below(200_000) - 100_000)
    return kind < 19 ? seq(base ^ 0x8000_0000) : seq(random.u32())
  }

  /** A segment to a connection. */
  private hit(connection: Connection): void {
    const { random } = this
    this.statesHit.add(connection.state)
    const { remoteAddress: remote, remotePort, localPort } = connection
    const friendly = this.often(this.friendly)
    const start = friendly ? connection.rcv.nxt : this.near(this.one(edgesOf(connection)))
    const ack = friendly ? this.one(acksOf(connection).slice(0, 5)) : this.near(this.one(acksOf(connection)))
    let flags = friendly ? ACK | (this.often(6) ? FIN : 0) : this.one(FLAGS)
    if (friendly && connection.state === 'SYN-SENT') flags = this.often(80) ? SYN | ACK : SYN
    if (this.often(2)) flags = random.below(512)
    const window = this.one([65_535, 65_535, 1_000, 100, 1, 0, random.below(65_536)])
    const length = this.one([0, 0, 0, 1, 3, 536, 1_400, random.below(1_400)])
    const urgent = (flags & URG) !== 0 ? this.one([0, 1, 65_535, random.below(2_000)]) : 0
    const options = this.optionsFor(connection, (flags & SYN) !== 0, friendly)
    this.send({ remote, remotePort, localPort }, { start, ack: seq(ack), flags, window, urgent, length, options })
  }

  /** A SYN, mostly, or something else to a port. */
  private knock(): void {
    const { random } = this
    const caller = this.often(50) ? this.nextCaller++ % CALLERS : random.below(CALLERS)
    const ends = {
      remote: this.often(60) ? IpAddress.v4(0x0a00_0100 + caller) : new IpAddress(6, 0xfd00_0000, 0, 0, 0x100 + caller),
      remotePort: 1_000 + random.below(3),
      localPort: this.often(95) ? this.one(PORTS) : random.below(100),
    }
    const flags = this.often(85) ? SYN : this.one(FLAGS)
    const start = seq(random.u32())
    const fields = { start, ack: seq(random.u32()), flags, window: random.below(65_536), urgent: 0 }
    this.send(ends, { ...fields, length: this.often(90) ? 0 : random.below(1_000), options: this.synOptions() })
  }

  private synOptions(): number[] {
    const { random } = this
    if (this.often(10)) return this.garbage()
    const options: number[] = []
    if (this.often(90)) options.push(2, 4, ...this.word(this.one([1_460, 536, 48, 1, 0, 65_535]), 2))
    if (this.often(60)) options.push(3, 3, this.one([0, 7, 14, 15, 255]))
    if (this.often(70)) options.push(4, 2)
    if (this.often(70)) options.push(8, 10, ...this.word(random.u32(), 4), ...this.word(0, 4))
    return options
  }

  private optionsFor(connection: Connection, isSyn: boolean, friendly: boolean): number[] {
    const { random } = this
    const options: number[] = isSyn ? this.synOptions().slice(0, 9) : []
    if (!friendly && this.often(6)) return this.garbage()
    if (connection.timestampsOn || connection.state === 'SYN-SENT' ? this.often(97) : this.often(5)) {
      const value =
        connection.tsRecent + (friendly ? random.below(2) : this.one([0, 1, -1, 1_000, 0x8000_0000, random.u32()]))
      const echo = timestampOf(connection, this.clock.now()) - this.one([0, 1, 40, 1_000, friendly ? 0 : random.u32()])
      options.push(8, 10, ...this.word(value, 4), ...this.word(echo, 4))
    }
    if (isSyn || !this.often(friendly ? 20 : 50)) return options
    const count = 1 + random.below(options.length > 0 ? 3 : 4)
    options.push(5, 2 + 8 * count)
    for (let block = 0; block < count; block++) options.push(...this.block(connection, friendly))
    return options
  }

  /** A SACK block: of segments that were sent, or a lie. */
  private block({ board, snd }: Connection, friendly: boolean): number[] {
    const { random } = this
    const flight = seqDiff(snd.nxt, snd.una)
    if (friendly && flight > 1) {
      const left = 1 + random.below(flight - 1)
      return [...this.word(snd.una + left, 4), ...this.word(snd.una + left + 1 + random.below(flight - left), 4)]
    }
    const edges = [snd.una, snd.nxt, board.first?.end ?? snd.nxt, board.last?.start ?? snd.una, snd.iss]
    return [...this.word(this.near(this.one(edges)), 4), ...this.word(this.near(this.one(edges)), 4)]
  }

  private garbage(): number[] {
    return Array.from({ length: this.random.below(41) }, () =>
      this.one([0, 1, 2, 3, 4, 5, 8, 10, 34, 255, this.random.below(256)]),
    )
  }

  private word(value: number, size: 2 | 4): number[] {
    const bytes = [(value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff]
    return size === 4 ? bytes : bytes.slice(2)
  }

  private send(
    ends: Ends,
    fields: { start: Seq; ack: Seq; flags: number; window: number; urgent: number; length: number; options: number[] },
  ): void {
    const { random } = this
    const options = fields.options.slice(0, 40)
    while (options.length % 4 !== 0) options.push(this.often(95) ? 0 : 1)
    const headerLength = 20 + options.length
    const octets = octetsFrom(new Uint8Array(headerLength + fields.length))
    emitTcp(octets.view, 0, {
      sourcePort: ends.remotePort,
      destinationPort: ends.localPort,
      seq: fields.start,
      ack: fields.ack,
      headerLength: this.often(99) ? headerLength : 4 * random.below(16),
      flags: fields.flags,
      window: fields.window,
      checksum: 0,
      urgentPointer: fields.urgent,
    })
    octets.bytes.set(options, 20)
    const local = ends.remote.family === 4 ? IpAddress.from('10.0.0.1') : IpAddress.from('fd00::1')
    const segment = octets.bytes.subarray(0, headerLength + fields.length)
    const sum = sumOctets(octets, 0, segment.length) + pseudoHeaderSum(ends.remote, local, PROTOCOL_TCP, segment.length)
    octets.view.setUint16(16, ~fold(sum) & 0xffff)
    this.wrap(String(ends.remote), String(local), segment)
  }

  /** In an IP packet, or in fragments of one. */
  private wrap(source: string, destination: string, segment: Uint8Array): void {
    const isV4 = source.includes('.')
    if (segment.length < 24 || this.often(96)) {
      return this.hand(
        isV4
          ? packet4({ source, destination, protocol: PROTOCOL_TCP, payload: segment })
          : packet6({ source, destination, nextHeader: PROTOCOL_TCP, payload: segment }),
      )
    }
    const cut = 8 * (1 + this.random.below(Math.floor((segment.length - 9) / 8)))
    const identification = this.random.below(0x1_0000)
    const parts = [
      { offset: 0, more: true, part: segment.subarray(0, cut) },
      { offset: cut, more: false, part: segment.subarray(cut) },
    ]
    for (const { offset, more, part } of this.often(50) ? parts : parts.reverse()) {
      this.hand(
        isV4
          ? packet4({ source, destination, identification, offset, more, protocol: PROTOCOL_TCP, payload: part })
          : fragment6Of({ source, destination, identification, offset, more, nextHeader: PROTOCOL_TCP, part }),
      )
    }
  }

  private hand(bytes: Uint8Array): void {
    const packet = Packet.from(this.pool, bytes)
    if (packet !== null) this.gate.onReceive!(packet)
  }

  /** An ICMP error about something that was sent, or nearly. */
  private complain(): void {
    const { gate, random } = this
    if (gate.latest.length === 0) return
    const quote = this.one(gate.latest).slice(0, this.one([28, 48, 60, 600]))
    const isV4 = quote[0]! >>> 4 === 4
    const seqAt = (isV4 ? 20 : 40) + 4
    if (this.often(30) && quote.length >= seqAt + 4)
      viewOf(quote).setUint32(seqAt, this.near(viewOf(quote).getUint32(seqAt)))
    const mtu = this.one([0, 68, 576, 1_279, 1_280, 1_400, 65_535, random.u32()])
    if (isV4) {
      const [type, code] = this.one([
        [3, random.below(16)],
        [3, 4],
        [11, random.below(2)],
        [12, 0],
        [4, 0],
        [5, 1],
      ] as const)
      this.hand(icmp4({ source: this.one(['10.0.0.254', '10.0.1.1']) }, type, code, mtu, quote))
      return
    }
    const [type, code] = this.one([
      [1, random.below(8)],
      [2, 0],
      [3, random.below(2)],
      [4, random.below(3)],
    ] as const)
    this.hand(icmp6({ source: 'fd00::fe' }, type, code, mtu, quote))
  }

  private options(): Partial<ConnectionOptions> {
    const { random } = this
    return {
      noDelay: this.often(30),
      cork: this.often(5),
      keepAlive: this.often(20),
      keepAliveIdle: seconds(1 + random.below(100)),
      keepAliveInterval: seconds(1 + random.below(10)),
      keepAliveCount: 1 + random.below(9),
      ...(this.often(20) && { userTimeout: millis(1 + random.below(60_000)) }),
      ...(this.often(20) && { receiveBytes: 1_000 + random.below(200_000) }),
      ...(this.often(20) && { sendBytes: 1_000 + random.below(200_000) }),
      ...(this.often(10) && { segmentLimit: 1 + random.below(1_500) }),
    }
  }

  private dial(): void {
    const { random, stack } = this
    const caller = random.below(CALLERS)
    const remoteAddress = this.often(50)
      ? IpAddress.v4(0x0a00_0200 + caller)
      : new IpAddress(6, 0xfd00_0000, 0, 0, 0x200 + caller)
    try {
      const ends = { remoteAddress, remotePort: 1_000, options: this.options() }
      const connection = connect(stack.tcp, ends, this.clock.now())
      this.hold(connection)
    } catch (error) {
      if (!(error instanceof NetError)) throw error
    }
  }

  private accept(): void {
    for (const listener of this.listeners) {
      if (listener.port !== 80 && this.often(90)) continue
      for (let socket = listener.tryAccept(); socket !== null; socket = listener.tryAccept()) {
        this.sockets.set(socket.connection, socket)
      }
    }
  }

  private hold(connection: Connection): void {
    this.sockets.set(connection, new TcpSocket(this.stack, connection))
  }

  /** What a program does with its connection. */
  private program(connection: Connection): void {
    const { random } = this
    const socket = this.sockets.get(connection)
    if (socket === undefined) return
    const { sockets } = this
    try {
      switch (
        this.one([
          'write',
          'write',
          'write',
          'read',
          'read',
          'shut',
          'shut',
          'close',
          'abort',
          'set',
          'urgent',
        ] as const)
      ) {
        case 'write':
          socket.tryWrite(this.bytes.subarray(0, this.one([1, 10, 1_460, 20_000, random.below(70_000)])))
          break
        case 'urgent':
          if (socket.tryWrite(this.bytes.subarray(0, 10)) > 0) connection.snd.up = connection.sendQueue.end
          break
        case 'read':
          socket.tryRead(this.bytes.subarray(0, this.one([1, 100, 70_000])))
          break
        case 'shut':
          if (this.often(25)) socket.shutdown(this.one(['read', 'write', 'write', 'both']))
          break
        case 'close':
          if (this.often(15)) socket.close()
          break
        case 'abort':
          if (this.often(10)) socket.abort()
          break
        case 'set':
          socket.setOptions(this.options())
      }
    } catch (error) {
      if (!(error instanceof NetError)) throw error
    }
    if (connection.state !== 'CLOSED') return
    socket.close()
    sockets.delete(connection)
  }

  private wait(): void {
    const { random } = this
    const kind = random.below(1_000)
    if (kind < 700) return
    if (kind < 900) this.pass(micros(random.below(2_000)))
    else if (kind < 985) this.pass(millis(random.below(300)))
    else if (kind < 998) this.pass(millis(random.below(5_000)))
    else this.pass(seconds(random.below(200)))
    for (const [connection, socket] of this.sockets) {
      if (connection.state !== 'CLOSED') continue
      socket.close()
      this.sockets.delete(connection)
    }
  }
}

/** So many steps of a new siege, and its end. Returns what broke, or ''. */
export function besiege({
  steps,
  seed,
  pool,
  end = true,
}: {
  steps: number
  seed: number
  pool?: PagePool
  end?: boolean
}): { fault: string; siege: Siege } {
  const siege = new Siege(seed, pool)
  try {
    for (let step = 0; step < steps; step++) {
      const fault = siege.step() || (step % 64 === 0 ? siege.violation() : '')
      if (fault !== '') return { fault: `at step ${step}: ${fault}`, siege }
    }
    return { fault: end ? siege.aftermath() : siege.violation(), siege }
  } catch (error) {
    return { fault: error instanceof Error ? (error.stack ?? error.message) : String(error), siege }
  }
}
