// Small worlds for tests: the seed of one that fails is told, every page must come back, and a peer with a bare end of
// a cable sends whatever bytes a test likes.

import { Packet } from '../../src/buf/packet.ts'
import type { PagePool } from '../../src/buf/page.ts'
import type { Counters, Drop } from '../../src/counters.ts'
import type { Interface } from '../../src/ip/interface.ts'
import type { CableEnd, CableOptions } from '../../src/link/cable.ts'
import { World, type WorldOptions } from '../../src/sim/world.ts'
import type { Stack, StackOptions } from '../../src/stack.ts'
import { millis } from '../../src/time.ts'
import { IpAddress, IpPrefix } from '../../src/wire/address.ts'
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, MacAddress } from '../../src/wire/ethernet.ts'
import { built, joined } from '../wire/frames.ts'
import { FailedCapture } from './failed-capture.ts'
import { type Seen, seen } from './packets.ts'
import { testPool } from './pool.ts'

/** Makes a world, hands it to `body`, and closes it; an error says the seed. */
export async function inWorld(
  seed: number,
  body: (world: World, pool: PagePool) => void | Promise<void>,
  options: Partial<WorldOptions> = {},
): Promise<void> {
  const pool = options.pool ?? testPool()
  const failed = new FailedCapture()
  const world = new World({ capture: failed.sink, ...options, seed, pool })
  try {
    await body(world, pool)
  } catch (error) {
    if (error instanceof Error) error.message += ` (seed ${seed})${failed.keep()}`
    throw error
  } finally {
    world.close()
  }
}

/** One end of a cable in the hands of a test. */
export class Peer {
  readonly end: CableEnd
  readonly on: Interface
  readonly host: Stack
  private readonly world: World
  private readonly pool: PagePool
  private readonly taken: Uint8Array[] = []

  constructor(world: World, host: Stack, on: Interface, end: CableEnd) {
    this.world = world
    this.host = host
    this.on = on
    this.end = end
    this.pool = host.pool
    end.onReceive = (packet) => {
      this.taken.push(packet.toBytes())
      packet.release()
    }
  }

  /** Sends bytes to the host, and lets it answer. */
  send(...packets: readonly Uint8Array[]): void {
    for (const bytes of packets) {
      this.sendNow(bytes)
      this.world.runFor(millis(1))
    }
  }

  /** Puts bytes on the cable: they arrive when the host is polled. */
  sendNow(bytes: Uint8Array): void {
    const packet = Packet.from(this.pool, bytes)
    if (packet === null) throw new Error('the pool is empty')
    this.end.transmit(packet)
  }

  /** What the host sent since the last call, as it was on the wire. */
  frames(): Uint8Array[] {
    this.end.poll(this.world.now)
    return this.taken.splice(0)
  }

  /** The IP packets among it, each with its checksums looked at. Only for media of bare packets. */
  packets(): Seen[] {
    return this.frames().map(seen)
  }

  /** The one packet that the host sent since the last call. */
  only(): Seen {
    const packets = this.packets()
    if (packets.length !== 1) throw new Error(`${packets.length} packets came instead of one`)
    return packets[0]!
  }
}

export const PEER_MAC = MacAddress.from('02:00:00:00:99:01')

/** A host on a cable of bare IP packets: 10.0.0.1/24 and fd00::1/64 unless said otherwise. */
export function barePeer(
  world: World,
  options: { stack?: Partial<StackOptions>; addresses?: readonly string[]; cable?: CableOptions; name?: string } = {},
): Peer {
  const host = world.host(options.name ?? 'host', options.stack ?? {})
  return attachBare(world, host, options.addresses ?? ['10.0.0.1/24', 'fd00::1/64'], options.cable)
}

/** One more cable of bare IP packets. */
export function attachBare(world: World, host: Stack, addresses: readonly string[], options: CableOptions = {}): Peer {
  const cable = world.cable({ medium: 'ip', ...options })
  return new Peer(world, host, world.attach(host, cable.a, { addresses }), cable.b)
}

/** A host on a cable of Ethernet frames; the peer is 10.0.0.2 and fd00::2, known to it by hand. */
export function framePeer(world: World, addresses: readonly string[] = ['10.0.0.1/24', 'fd00::1/64']): Peer {
  const host = world.host('host')
  const cable = world.cable()
  const on = world.attach(host, cable.a, { addresses, linkLocal: false })
  const peer = new Peer(world, host, on, cable.b)
  world.runFor(millis(10_000))
  peer.frames()
  return peer
}

/** A frame from the peer to `to`. */
export function frameOf(peer: Peer, packet: Uint8Array, to: MacAddress = peer.on.mac): Uint8Array {
  const header = built((view) => {
    to.writeTo(view, 0)
    PEER_MAC.writeTo(view, 6)
    view.setUint16(12, packet[0]! >>> 4 === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6)
    return 14
  })
  return joined(header, packet)
}

/** The drops that `act` causes, by reason. */
export function dropsOf(counters: Counters, act: () => void): Partial<Record<Drop, number>> {
  const before = { ...counters.drops }
  act()
  const caused: Partial<Record<Drop, number>> = {}
  for (const [name, count] of Object.entries(counters.drops) as [Drop, number][]) {
    if (count !== before[name]) caused[name] = count - before[name]
  }
  return caused
}

/** A chain: a host, routers with the MTUs of the links between, a host. Addresses 10.0.N.1/.2 and fd00:0:0:N::1/::2. */
export function chain(world: World, mtus: readonly number[]): { hosts: Stack[]; first: Stack; last: Stack } {
  const hosts = [...mtus, 0].map((_, index) => {
    const isEnd = index === 0 || index === mtus.length
    return world.host(`h${index}`, { forwarding: !isEnd })
  })
  mtus.forEach((mtu, index) => {
    const cable = world.cable({ mtu })
    world.attach(hosts[index]!, cable.a, { addresses: [`10.0.${index}.1/24`, `fd00:0:0:${index}::1/64`] })
    world.attach(hosts[index + 1]!, cable.b, { addresses: [`10.0.${index}.2/24`, `fd00:0:0:${index}::2/64`] })
  })
  hosts.forEach((host, index) => {
    for (let net = 0; net < mtus.length; net++) {
      if (net === index || net === index - 1) continue
      const right = net > index
      const link = right ? index : index - 1
      const side = right ? 2 : 1
      addRoute(host, `10.0.${net}.0/24`, `10.0.${link}.${side}`)
      addRoute(host, `fd00:0:0:${net}::/64`, `fd00:0:0:${link}::${side}`)
    }
  })
  return { hosts, first: hosts[0]!, last: hosts[mtus.length]! }
}

export function addRoute(host: Stack, prefix: string, gateway: string): void {
  const via = IpAddress.from(gateway)
  const on = host.interfaces.all.find((one) => one.addresses.some((entry) => entry.prefix.contains(via)))
  host.routes.add({ prefix: IpPrefix.from(prefix), gateway: via, interfaceIndex: on!.index })
}
