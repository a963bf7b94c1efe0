// A host under fire: sockets, groups, neighbours, a router between two Ethernet links and a bare one. It is driven
// without a world, so that nothing is measured but the stack; flood() throws the frames and says what broke.

import { Packet } from '../../src/buf/packet.ts'
import { PagePool } from '../../src/buf/page.ts'
import type { Interface } from '../../src/ip/interface.ts'
import { GROUP_LIMIT } from '../../src/ip/multicast.ts'
import { NEIGHBOR_LIMIT } from '../../src/ip/neighbors.ts'
import { PATH_MTU_LIMIT } from '../../src/ip/path-mtu.ts'
import { REASSEMBLY_BYTES } from '../../src/ip/reassembly.ts'
import { type Device, NO_OFFLOADS } from '../../src/link/device.ts'
import { SeededRandom } from '../../src/random.ts'
import { IcmpSocket } from '../../src/socket/icmp-socket.ts'
import { UdpSocket } from '../../src/socket/udp-socket.ts'
import { Stack } from '../../src/stack.ts'
import { after, type Micros, micros, millis, NEVER, seconds } from '../../src/time.ts'
import { VirtualClock } from '../../src/virtual-clock.ts'
import { IpAddress, IpPrefix } from '../../src/wire/address.ts'
import { fold, sumOctets } from '../../src/wire/checksum.ts'
import { MacAddress } from '../../src/wire/ethernet.ts'
import { ipv4HeaderLength, ipv4TotalLength } from '../../src/wire/ipv4.ts'
import { icmp4, icmp6 } from '../support/packets.ts'
import {
  CONNECTED_PORT,
  ECHO_IDENTIFIER,
  FRAMES,
  GROUP4,
  GROUP6,
  HOST_MAC,
  mendChecksums,
  mutate,
  PACKETS,
  UDP_PORT,
} from './corpus.ts'

/** Those of whole datagrams, in order. */
const FRAGMENTS = PACKETS.filter((packet) => {
  if (packet[0]! >>> 4 === 4) return (packet[6]! & 0x3f) + packet[7]! > 0 && packet.length > 28
  return packet[6] === 44 && packet[40] === 17
})

const BATCH = 64
const QUIET = seconds(900)
/** Every table full and every queue full come to less. */
const MOST_BYTES = REASSEMBLY_BYTES + 24 * 1_024 * 1_024
const MOST_ROUTES = 256
const LONGEST_FRAME = 1_800

/** A device that keeps nothing: it looks at what is sent, and lets it go. */
class Sink implements Device {
  readonly name: string
  readonly medium: 'ethernet' | 'ip'
  readonly mtu = 1_500
  readonly offloads = NO_OFFLOADS
  readonly macAddress: MacAddress | null
  onReceive: ((packet: Packet) => void) | null = null
  sent = 0
  /** What is wrong with something that was sent; '' when nothing. */
  fault = ''
  /** Sees each packet while it is set. */
  watch: ((packet: Packet) => void) | null = null

  constructor(name: string, medium: 'ethernet' | 'ip', mac: MacAddress | null) {
    this.name = name
    this.medium = medium
    this.macAddress = mac
  }

  transmit(packet: Packet): boolean {
    this.sent++
    this.watch?.(packet)
    const at = packet.data + (this.medium === 'ethernet' ? 14 : 0)
    const { view } = packet.page
    const isV4 = this.medium === 'ip' ? view.getUint8(at) >>> 4 === 4 : view.getUint16(at - 2) === 0x0800
    if (packet.length > this.mtu + 14) this.fault = `${packet.length} bytes were sent`
    if (isV4) {
      if (fold(sumOctets(packet.page, at, ipv4HeaderLength(view, at))) !== 0xffff)
        this.fault = 'a wrong header checksum'
      if (ipv4TotalLength(view, at) !== packet.length - (at - packet.data)) this.fault = 'a wrong total length'
      if (view.getUint8(at + 12) === 127 || view.getUint8(at + 16) === 127) this.fault = 'loopback on the wire'
    }
    packet.release()
    return true
  }

  deadline(): Micros {
    return NEVER
  }

  poll(): void {}

  close(): void {}
}

export interface FloodOptions {
  frames: number
  seed: number
  /** Called now and then. */
  onProgress?: (done: number, target: Target) => void
}

export class Target {
  readonly clock = new VirtualClock(0 as Micros)
  readonly pool = new PagePool({ limitBytes: 64 * 1_024 * 1_024 })
  readonly stack: Stack
  readonly random: SeededRandom
  readonly sinks: readonly Sink[]
  private readonly sockets: UdpSocket[]
  private readonly pings: IcmpSocket[]
  private readonly interfaces: Interface[]

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    this.stack = new Stack({ clock: this.clock, random: this.random.fork('stack'), pool: this.pool, forwarding: true })
    this.sinks = [
      new Sink('eth0', 'ethernet', HOST_MAC),
      new Sink('eth1', 'ethernet', new MacAddress(0x0200, 0x101)),
      new Sink('ip0', 'ip', null),
    ]
    this.interfaces = this.sinks.map((device, index) =>
      this.stack.addInterface({
        name: device.name,
        device,
        probes: 0,
        acceptRouters: true,
        ...(index === 2 ? { mtu: 1_280 } : {}),
        addresses: [`10.${index}.0.1/24`, `fd00:${index === 0 ? '0' : index}::1/64`].map((text) => IpPrefix.from(text)),
      }),
    )
    const { stack } = this
    const connected = new UdpSocket(stack, { family: 4, port: CONNECTED_PORT })
    connected.connect(IpAddress.from('10.0.0.2'), 4_000)
    const grouped = new UdpSocket(stack, { family: 6, port: 4_100 })
    grouped.joinGroup(GROUP4, this.interfaces[0]!.index)
    grouped.joinGroup(GROUP6, this.interfaces[0]!.index)
    this.sockets = [new UdpSocket(stack, { family: 6, port: UDP_PORT }), connected, grouped]
    this.pings = [new IcmpSocket(stack, 4, ECHO_IDENTIFIER), new IcmpSocket(stack, 6, ECHO_IDENTIFIER)]
  }

  /** Sends frames of a mutated corpus to the host, polls it, and lets time pass. */
  batch(): void {
    const { clock, random, stack } = this
    for (let count = 0; count < BATCH; count++) this.one()
    clock.advance(after(clock.now(), micros(random.below(8_000))))
    stack.poll(clock.now())
    const chance = random.below(2_048)
    if (chance < 16) this.drain()
    else if (chance < 20) stack.forwarding = !stack.forwarding
    else if (chance < 22) this.pass(seconds(random.below(20)))
    else if (chance < 140) this.speak()
    else if (chance < 180) this.datagrams()
  }

  /** Lets virtual time pass as a driver does: from deadline to deadline. */
  pass(length: Micros): void {
    const { clock, stack } = this
    const until = after(clock.now(), length)
    for (let next = stack.deadline(); next <= until; next = stack.deadline()) {
      clock.advance(next)
      stack.poll(clock.now())
    }
    clock.advance(until)
  }

  /** Reads what waits in the sockets. */
  drain(): void {
    for (const socket of this.sockets) {
      for (;;) {
        try {
          if (socket.tryReceive() === null) break
        } catch {
          // An ICMP error about what speak() sent.
        }
      }
    }
  }

  /** What is wrong now; '' when nothing is. */
  violation(): string {
    const { counters, multicast, pathMtu, routes } = this.stack
    for (const sink of this.sinks) if (sink.fault !== '') return `${sink.name}: ${sink.fault}`
    if (this.pool.inUseBytes > MOST_BYTES) return `${this.pool.inUseBytes} bytes of pages are in use`
    for (const { name, neighbors4, neighbors6, addresses } of this.interfaces) {
      for (const cache of [neighbors4, neighbors6]) {
        if ((cache?.list().length ?? 0) > NEIGHBOR_LIMIT) return `${name} has too many neighbours`
      }
      if (addresses.length > 32) return `${name} has ${addresses.length} addresses`
    }
    if (pathMtu.list().length > PATH_MTU_LIMIT) return 'too many path MTUs'
    if (routes.size > MOST_ROUTES) return `${routes.size} routes`
    for (const on of this.interfaces) if (multicast.groups(on).length > GROUP_LIMIT) return 'too many groups'
    const allowed = 50 + 1_000 * (this.clock.now() / 1_000_000)
    for (const errors of [counters.IcmpOutErrors, counters.Icmp6OutErrors]) {
      if (errors > allowed + 1) return `${errors} ICMP errors in ${this.clock.now()} µs`
    }
    return ''
  }

  /** After the flood: time passes, everything is given back, and the host answers. '' when so. */
  aftermath(): string {
    this.pass(QUIET)
    this.drain()
    if (this.pool.inUse !== 0) return `${this.pool.inUse} pages are still in use after the flood`
    for (const [index, name] of [
      [0, 'Ethernet'],
      [2, 'bare IP'],
    ] as const) {
      if (!this.answers(4, index)) return `no echo reply over ${name} (IPv4)`
      if (!this.answers(6, index)) return `no echo reply over ${name} (IPv6)`
    }
    this.pass(QUIET)
    if (this.pool.inUse !== 0) return `${this.pool.inUse} pages are still in use after the pings`
    return this.violation()
  }

  close(): void {
    for (const ping of this.pings) ping.close()
    this.stack.close()
  }

  private one(): void {
    const { random } = this
    const way = random.below(4)
    const sink = this.sinks[way < 2 ? 0 : way - 1]!
    const packet = Packet.allocate(this.pool, LONGEST_FRAME, 66)
    if (packet === null) return
    const room = packet.page.bytes.subarray(66, 66 + LONGEST_FRAME)
    const length = mutate(sink.medium === 'ip' ? PACKETS : FRAMES, random, room)
    if (sink === this.sinks[1]) room[5] = room[0] === 2 ? 0x01 : room[5]!
    if (sink === this.sinks[1] && room[0] === 2) room[4] = 0x01
    packet.put(length)
    const ip = sink.medium === 'ip' ? 66 : 80
    if (random.below(4) > 0 && length > ip - 66) {
      mendChecksums(packet.page, ip, length - (ip - 66), (at, size) => sumOctets(packet.page, at, size))
    }
    sink.onReceive!(packet)
  }

  /** A packet as it is, in a frame where the device wants one. */
  private hand(sink: Sink, bytes: Uint8Array): void {
    const packet = Packet.allocate(this.pool, LONGEST_FRAME, 66)
    if (packet === null) return
    if (sink.medium === 'ethernet') {
      const at = packet.put(14)
      sink.macAddress!.writeTo(packet.page.view, at)
      new MacAddress(0x0200, 0x777).writeTo(packet.page.view, at + 6)
      packet.page.view.setUint16(at + 12, bytes[0]! >>> 4 === 4 ? 0x0800 : 0x86dd)
    }
    const at = packet.put(bytes.length)
    packet.page.bytes.set(bytes, at)
    mendChecksums(packet.page, at, bytes.length, (from, size) => sumOctets(packet.page, from, size))
    sink.onReceive!(packet)
  }

  /** Whole datagrams in fragments, from somebody whom nobody forges. */
  private datagrams(): void {
    const identification = this.random.below(0x1_0000)
    for (const fragment of FRAGMENTS) {
      const packet = fragment.slice()
      const isV4 = packet[0]! >>> 4 === 4
      packet.set([identification >>> 8, identification & 0xff], isV4 ? 4 : 46)
      this.hand(this.sinks[2]!, packet)
    }
  }

  /** What programs send, so that there is something for ICMP errors and neighbours to be about. */
  private speak(): void {
    const { random } = this
    const address = IpAddress.v4(0x0a00_0000 | (random.below(3) << 16) | random.below(256))
    const far = new IpAddress(6, 0xfd00_0000, 0, 0, random.below(300))
    for (const to of [address, far]) {
      try {
        this.sockets[0]!.send(new Uint8Array(random.below(4_000)), { address: to, port: 4_000 })
        this.pings[to.family === 4 ? 0 : 1]!.sendEcho(to, 1, new Uint8Array(random.below(3_000)))
      } catch {
        // No route, or an ICMP error about an earlier one.
      }
    }
  }

  /** Whether an echo request gets a reply, from whatever device: the flood may have taught the host strange routes. */
  private answers(family: 4 | 6, index: number): boolean {
    const last = 2 + this.random.below(200)
    const prefix = family === 4 ? `10.${index}.0.` : `fd00:${index}::`
    const source = prefix + (family === 4 ? last : last.toString(16))
    const ends = { source, destination: `${prefix}1` }
    const echo = family === 4 ? icmp4(ends, 8, 0, 0x1234_0001) : icmp6(ends, 128, 0, 0x1234_0001)
    const sink = this.sinks[index]!
    const neighbor = IpAddress.from(source)
    const on = this.interfaces[index]!
    const cache = family === 4 ? on.neighbors4 : on.neighbors6
    cache?.learn(neighbor, new MacAddress(0x0200, 0x777))
    let replies = 0
    for (const other of this.sinks) {
      other.watch = (packet) => {
        const at = packet.networkAt
        const { view } = packet.page
        const type = view.getUint8(at + (family === 4 ? 20 : 40))
        const protocol = view.getUint8(at + (family === 4 ? 9 : 6))
        if (protocol === (family === 4 ? 1 : 58) && type === (family === 4 ? 0 : 129)) replies++
      }
    }
    this.hand(sink, echo)
    this.stack.poll(this.clock.now())
    for (const other of this.sinks) other.watch = null
    return replies === 1
  }
}

/** Throws `frames` frames at a new host. Returns what broke, or ''. */
export function flood({ frames, seed, onProgress }: FloodOptions): { fault: string; target: Target; sent: number } {
  const target = new Target(seed)
  let sent = 0
  const result = (fault: string): { fault: string; target: Target; sent: number } => ({ fault, target, sent })
  try {
    for (let checkAt = 0; sent < frames; sent += BATCH) {
      target.batch()
      if (sent < checkAt) continue
      checkAt += Math.max(BATCH, frames / 100)
      const fault = target.violation()
      if (fault !== '') return result(`after ${sent} frames: ${fault}`)
      onProgress?.(sent, target)
    }
    target.pass(millis(1))
    return result(target.aftermath())
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return result(`after ${sent} frames an exception: ${text}`)
  }
}
