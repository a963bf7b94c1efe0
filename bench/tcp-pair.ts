// Two hosts in memory that talk over TCP as fast as they can, both in this thread and in virtual time: what the benches
// of TCP measure. No promises: bytes are written and read between two steps of the world.

import { PagePool } from '../src/buf/page.ts'
import type { Cable, CableOptions } from '../src/link/cable.ts'
import type { Faults } from '../src/link/faults.ts'
import { World } from '../src/sim/world.ts'
import { TcpListener } from '../src/socket/tcp-listener.ts'
import { TcpSocket } from '../src/socket/tcp-socket.ts'
import type { Stack, StackOptions } from '../src/stack.ts'
import type { ConnectionOptions } from '../src/tcp/connection-options.ts'
import { connect, writeRoom } from '../src/tcp/open.ts'
import { type Micros, micros, seconds } from '../src/time.ts'
import { IpAddress } from '../src/wire/address.ts'

/** Bytes that a program writes and reads at once. */
export const CHUNK = 65_536
const PORT = 5_001
/** Ephemeral ports to one destination end at some 28,000. */
const PORTS = 8
/** Less than the backlog of a listener. */
const CONNECTS_AT_ONCE = 256

export interface TcpPairOptions extends CableOptions {
  readonly tcp?: StackOptions['tcp']
  /** Of the direction in which the bytes go. */
  readonly faults?: Faults
  readonly connection?: Partial<ConnectionOptions>
  readonly poolBytes?: number
  readonly seed?: number
}

export interface Ends {
  readonly client: TcpSocket
  readonly server: TcpSocket
}

export class TcpPair {
  readonly pool: PagePool
  readonly world: World
  readonly cable: Cable
  readonly from: Stack
  readonly to: Stack
  private readonly listeners: TcpListener[]
  private readonly connection: Partial<ConnectionOptions>
  private connected = 0

  constructor(options: TcpPairOptions = {}) {
    const { tcp, faults, connection = {}, poolBytes, seed = 1, ...cable } = options
    this.pool = new PagePool(poolBytes === undefined ? {} : { limitBytes: poolBytes })
    this.world = new World({ seed, pool: this.pool })
    this.connection = connection
    const stackOptions = tcp === undefined ? {} : { tcp }
    this.from = this.world.host('from', stackOptions)
    this.to = this.world.host('to', stackOptions)
    this.cable = this.world.cable({ delay: micros(10), ...cable })
    const faulty = faults === undefined ? {} : { faults }
    this.world.attach(this.from, this.cable.a, { addresses: ['10.0.0.1/24'], linkLocal: false, ...faulty })
    this.world.attach(this.to, this.cable.b, { addresses: ['10.0.0.2/24'], linkLocal: false })
    // Instants that fit into 31 bits cost V8 less: those of a host that has been up for an hour do not.
    this.world.runFor(seconds(3_600))
    this.listeners = Array.from({ length: PORTS }, (_, index) => {
      return new TcpListener(this.to, { family: 4, port: PORT + index }, connection)
    })
  }

  /** A connection more, established at both ends. */
  connect(): Ends {
    const [ends] = this.connectMany(1)
    return ends!
  }

  connectMany(count: number): Ends[] {
    const made: Ends[] = []
    while (made.length < count) {
      const batch = Math.min(CONNECTS_AT_ONCE, count - made.length)
      // Those of one batch go to one port, so that the port of a client tells which it is.
      const listener = this.listeners[this.connected++ % PORTS]!
      const clients = Array.from({ length: batch }, () => this.open(listener))
      const servers = new Map<number, TcpSocket>()
      while (servers.size < batch) {
        this.step()
        for (let server = listener.tryAccept(); server !== null; server = listener.tryAccept()) {
          servers.set(server.remotePort, server)
        }
      }
      for (const client of clients) made.push({ client, server: servers.get(client.localPort)! })
    }
    return made
  }

  private open(listener: TcpListener): TcpSocket {
    const { from } = this
    const wanted = {
      remoteAddress: IpAddress.from('10.0.0.2'),
      remotePort: listener.port,
      options: this.connection,
    }
    return new TcpSocket(from, connect(from.tcp, wanted, from.clock.now()))
  }

  step(): void {
    if (!this.world.step()) throw new Error('the world came to rest')
  }

  /** Both ends of each are closed, and the world runs until TIME-WAIT is over. */
  closeAll(many: readonly Ends[]): void {
    for (const { client } of many) client.close()
    this.world.runFor(seconds(1))
    for (const { server } of many) server.close()
    this.world.runFor(seconds(61))
    const left = this.from.tcp.demux.size + this.to.tcp.demux.size
    if (left !== 0) throw new Error(`${left} connections are still there`)
  }

  close(): void {
    this.world.close()
    if (this.pool.inUse !== 0) throw new Error(`${this.pool.inUse} pages were not given back`)
  }
}

/** Bytes in one direction of one connection, with a look at what arrives. */
export class Flow {
  sent = 0
  arrived = 0
  private readonly pair: TcpPair
  private readonly ends: Ends
  private readonly chunk = Uint8Array.from({ length: CHUNK }, (_, index) => (index * 167 + (index >> 8)) & 0xff)
  private readonly target = new Uint8Array(CHUNK)

  constructor(pair: TcpPair, ends: Ends) {
    this.pair = pair
    this.ends = ends
  }

  /** Sends as much as the connection takes until `isOver`, asked after each step of the world. */
  run(isOver: () => boolean): void {
    do {
      this.fill()
      this.pair.step()
      this.drain()
    } while (!isOver())
  }

  /** What was written arrives. */
  finish(): void {
    while (this.arrived < this.sent) {
      this.pair.step()
      this.drain()
    }
  }

  /** Sends until virtual time has moved by `length`, and returns the bits a second that arrived. */
  goodput(length: Micros): number {
    const { world } = this.pair
    const start = world.now
    const before = this.arrived
    this.run(() => world.now - start >= length)
    return ((this.arrived - before) * 8e6) / (world.now - start)
  }

  private fill(): void {
    const { client } = this.ends
    // Whole chunks where they fit, as a program that waits for room would write them.
    while (this.sent % CHUNK !== 0 || writeRoom(client.connection) >= Math.min(CHUNK, client.options.sendBytes / 2)) {
      const count = client.tryWrite(this.chunk, this.sent % CHUNK)
      if (count === 0) return
      this.sent += count
    }
  }

  private drain(): void {
    const { server } = this.ends
    for (let count = server.tryRead(this.target); count > 0; count = server.tryRead(this.target)) {
      const last = this.chunk[(this.arrived + count - 1) % CHUNK]
      if (this.target[0] !== this.chunk[this.arrived % CHUNK] || this.target[count - 1] !== last) {
        throw new Error(`a wrong byte after ${this.arrived}`)
      }
      this.arrived += count
    }
  }
}
