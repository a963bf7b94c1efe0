// Hosts in memory that talk over UDP as fast as they can: over a cable, with a router between, over loopback.

import { PagePool } from '../src/buf/page.ts'
import { World } from '../src/sim/world.ts'
import { UdpSocket } from '../src/socket/udp-socket.ts'
import { micros, seconds } from '../src/time.ts'
import { IpAddress, IpPrefix } from '../src/wire/address.ts'

export type Shape = 'cable' | 'router' | 'loopback'

const PORT = 9_000
/** Datagrams between two polls. */
export const BATCH = 32

export class Pair {
  readonly pool = new PagePool()
  private readonly world: World
  private readonly sender: UdpSocket
  private readonly receiver: UdpSocket
  private readonly target = new Uint8Array(2_048)

  constructor(shape: Shape) {
    this.world = new World({ seed: 1, pool: this.pool })
    const { world } = this
    const from = world.host('from')
    const to = shape === 'loopback' ? from : world.host('to')
    const destination = shape === 'loopback' ? '127.0.0.1' : shape === 'cable' ? '10.0.0.2' : '10.0.1.2'
    if (shape === 'cable') {
      const { a, b } = world.cable()
      world.attach(from, a, { addresses: ['10.0.0.1/24'] })
      world.attach(to, b, { addresses: ['10.0.0.2/24'] })
    } else if (shape === 'router') {
      const router = world.host('router', { forwarding: true })
      const left = world.cable()
      const right = world.cable()
      const sending = world.attach(from, left.a, { addresses: ['10.0.0.1/24'] })
      world.attach(router, left.b, { addresses: ['10.0.0.254/24'] })
      world.attach(router, right.a, { addresses: ['10.0.1.254/24'] })
      world.attach(to, right.b, { addresses: ['10.0.1.2/24'] })
      from.routes.add({
        prefix: IpPrefix.from('10.0.1.0/24'),
        gateway: IpAddress.from('10.0.0.254'),
        interfaceIndex: sending.index,
      })
    }
    this.receiver = new UdpSocket(to, { family: 4, port: PORT, receiveBytes: 4 * 1_024 * 1_024 })
    this.sender = new UdpSocket(from, { family: 4 })
    this.sender.connect(IpAddress.from(destination), PORT)
    world.runFor(seconds(10))
    // The first one waits for the neighbours to be found.
    this.sender.send(new Uint8Array(1))
    world.runFor(seconds(1))
    if (this.drain() !== 1) throw new Error(`nothing gets through (${shape})`)
  }

  /** Sends `count` datagrams, cut from `payloads` in turn, and returns how many arrived. */
  exchange(payloads: readonly Uint8Array[], count: number): number {
    let arrived = 0
    for (let sent = 0; sent < count; ) {
      const until = Math.min(count, sent + BATCH)
      for (; sent < until; sent++) this.sender.send(payloads[sent % payloads.length]!)
      this.world.runFor(micros(1))
      arrived += this.drain()
    }
    return arrived
  }

  /** Sends to a receiver that reads nothing. */
  flood(payload: Uint8Array, count: number): void {
    for (let sent = 0; sent < count; sent++) {
      this.sender.send(payload)
      if (sent % BATCH === BATCH - 1) this.world.runFor(micros(1))
    }
    this.world.runFor(micros(1))
  }

  drain(): number {
    let count = 0
    while (this.receiver.receiveInto(this.target) >= 0) count++
    return count
  }

  close(): void {
    this.sender.close()
    this.receiver.close()
    this.world.close()
    if (this.pool.inUse !== 0) throw new Error(`${this.pool.inUse} pages were not given back`)
  }
}
