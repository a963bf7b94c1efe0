import { describe, expect, test } from 'vitest'
import type { NetError } from '../../src/errors.ts'
import type { Interface } from '../../src/ip/interface.ts'
import { type EchoFailure, IcmpSocket } from '../../src/socket/icmp-socket.ts'
import { UdpSocket } from '../../src/socket/udp-socket.ts'
import { type Micros, seconds } from '../../src/time.ts'
import { type Family, IpAddress, IpPrefix } from '../../src/wire/address.ts'
import { MacAddress } from '../../src/wire/ethernet.ts'
import { advertisement, arpMessage, mac, STRANGER, solicitation } from '../support/messages.ts'
import { facing, inWorld, Stranger, type TestWorld } from '../support/stranger.ts'

const SEEDS = [1, 2, 3]
const ip = (text: string): IpAddress => IpAddress.from(text)

interface FamilyCase {
  family: Family
  host: string
  peer: string
  nobody: string
  /** What a neighbour is asked with. */
  question: RegExp
  /** Heard by `to`, it has him answer a forged question; the sender is learned. */
  forged(sender: IpAddress, target: IpAddress, from: MacAddress): Uint8Array
  /** Tells everybody of a MAC address. */
  announced(sender: IpAddress, from: MacAddress): Uint8Array
  forgedAddress(n: number): IpAddress
}

const FAMILIES: FamilyCase[] = [
  {
    family: 4,
    host: '10.0.0.1',
    peer: '10.0.0.2',
    nobody: '10.0.0.66',
    question: /who-has/,
    forged: (sender, target, from) => arpMessage(sender, target, { senderMac: from }),
    announced: (sender, from) => arpMessage(sender, sender, { senderMac: from }),
    forgedAddress: (n) => IpAddress.v4(0x0a00_0100 + n),
  },
  {
    family: 6,
    host: '2001:db8::1',
    peer: '2001:db8::2',
    nobody: '2001:db8::66',
    question: /neighbor solicitation/,
    forged: (sender, target, from) => solicitation(sender, target, { mac: from, from }),
    announced: (sender, from) => advertisement(sender, { mac: from, from, override: true }),
    forgedAddress: (n) => new IpAddress(6, 0x2001_0db8, 0, 1, n),
  },
]

const cases = SEEDS.flatMap((seed) => FAMILIES.map((one) => ({ ...one, seed })))

const withLength = (text: string): string => `${text}${text.includes(':') ? '/64' : '/16'}`

const cacheOf = (on: Interface, family: Family) => (family === 4 ? on.neighbors4! : on.neighbors6!)

/** Two hosts on a switch, with sockets on port 7. */
function pair(made: TestWorld, { host, peer, family }: FamilyCase) {
  const { world } = made
  const hub = world.switch()
  const ports = [hub.port({ delay: 100 as Micros }), hub.port({ delay: 100 as Micros })]
  const a = world.host('a')
  const b = world.host('b')
  const onA = world.attach(a, ports[0]!, { addresses: [withLength(host)] })
  const onB = world.attach(b, ports[1]!, { addresses: [withLength(peer)] })
  world.runFor(seconds(20))
  const [socketA, socketB] = [a, b].map((stack) => new UdpSocket(stack, { family, port: 7 }))
  return { ...made, hub, ports, a, b, onA, onB, socketA: socketA!, socketB: socketB! }
}

describe.each(cases)('IPv$family, seed $seed', (one) => {
  const { seed, family, host, peer, nobody } = one

  test('a first burst is parked, and arrives in order', () => {
    inWorld(seed, (made) => {
      const { world, socketA, socketB } = pair(made, one)
      for (let n = 0; n < 20; n++) socketA.send(new Uint8Array([n]), { address: ip(peer), port: 7 })
      world.runFor(seconds(1))
      for (let n = 0; n < 20; n++) expect(socketB.tryReceive()?.bytes[0]).toBe(n)
    })
  })

  test('a neighbour who is not there is told after 3 questions: EHOSTUNREACH, and the echo’s error', () => {
    inWorld(seed, (made) => {
      const { world, a, socketA } = pair(made, one)
      const failures: EchoFailure[] = []
      const echo = new IcmpSocket(a, family)
      echo.onEchoError = (failure) => void failures.push(failure)
      const began = world.now
      socketA.connect(ip(nobody), 7)
      socketA.send(new Uint8Array(1))
      echo.sendEcho(ip(nobody), 3, new Uint8Array(8))
      world.runFor(seconds(2.999))
      expect(failures).toEqual([])
      expect(socketA.tryReceive()).toBeNull()
      world.runFor(seconds(0.002))
      expect(failures).toMatchObject([{ sequence: 3, error: { kind: 'host-unreachable', destination: ip(nobody) } }])
      expect(failures[0]!.at - began).toBe(3_000_000)
      let code = ''
      try {
        socketA.tryReceive()
      } catch (error) {
        code = (error as NetError).code
      }
      expect(code).toBe('EHOSTUNREACH')
      expect(a.counters.drops.neighborUnreachable).toBe(2)
      echo.close()
    })
  })

  test('a neighbour who vanishes is noticed: doubted after 5 s of sending, gone after 3 more', () => {
    inWorld(seed, (made) => {
      const { world, ports, onA, socketA } = pair(made, one)
      const cache = cacheOf(onA, family)
      socketA.connect(ip(peer), 7)
      socketA.send(new Uint8Array(1))
      world.runFor(seconds(60))
      expect(cache.get(ip(peer))?.state).toBe('STALE')
      ports[1]!.cable.cut()
      const began = world.now
      const states = new Set<string>()
      let code = ''
      while (code === '' && world.now - began < seconds(60)) {
        states.add(cache.get(ip(peer))?.state ?? 'none')
        try {
          socketA.send(new Uint8Array(1))
        } catch (error) {
          code = (error as NetError).code
        }
        world.runFor(seconds(0.1))
      }
      expect([...states]).toEqual(['STALE', 'DELAY', 'PROBE', 'none', 'INCOMPLETE'])
      expect(code).toBe('EHOSTUNREACH')
      expect((world.now - began) / 1_000_000).toBeLessThan(12)
    })
  })

  test('a neighbour who answers is kept for hours of silence and of talk', () => {
    inWorld(seed, (made) => {
      const { world, socketA, socketB } = pair(made, one)
      for (let hour = 0; hour < 3; hour++) {
        for (let n = 0; n < 30; n++) {
          socketA.send(new Uint8Array([n]), { address: ip(peer), port: 7 })
          world.runFor(seconds(1))
          expect(socketB.tryReceive()?.bytes[0]).toBe(n)
        }
        world.runFor(seconds(3_600))
      }
    })
  })

  test('a neighbour with a new MAC address is followed when he speaks, and when he does not', () => {
    inWorld(seed, (made) => {
      const { world, hub, b, ports, onA, onB, socketA, socketB } = pair(made, one)
      const cache = cacheOf(onA, family)
      socketA.send(new Uint8Array(1), { address: ip(peer), port: 7 })
      world.runFor(seconds(1))
      expect(socketB.tryReceive()).not.toBeNull()
      const old = cache.get(ip(peer))!.mac!
      expect(old).toEqual(onB.mac)
      // He moves to another interface, and announces himself there.
      b.removeAddress(onB, ip(peer))
      const moved = world.attach(b, hub.port(), { addresses: [withLength(peer)], mac: mac(0x77) })
      world.runFor(seconds(1))
      expect(cache.get(ip(peer))!.mac).toEqual(moved.mac)
      socketA.send(new Uint8Array(2), { address: ip(peer), port: 7 })
      world.runFor(seconds(1))
      expect(socketB.tryReceive()?.bytes.length).toBe(2)
      // He moves back, and nobody hears of it: only the doubt finds him.
      world.runFor(seconds(60))
      b.removeAddress(moved, ip(peer))
      b.interfaces.setUp(moved, false)
      ports[0]!.cable.cut()
      b.addAddress(onB, IpPrefix.from(withLength(peer)), 0)
      world.runFor(seconds(3))
      ports[0]!.cable.mend()
      const began = world.now
      for (let n = 0; n < 200 && socketB.tryReceive() === null; n++) {
        socketA.send(new Uint8Array(3), { address: ip(peer), port: 7 })
        world.runFor(seconds(0.1))
      }
      expect(cache.get(ip(peer))!.mac).toEqual(onB.mac)
      expect((world.now - began) / 1_000_000).toBeLessThan(10)
    })
  })

  test('a flood of forged senders does not disturb those who talk', () => {
    inWorld(seed, (made) => {
      const { world, pool, hub, onA, socketA, socketB } = pair(made, one)
      const stranger = new Stranger(world, pool, hub.port())
      const cache = cacheOf(onA, family)
      socketA.send(new Uint8Array(1), { address: ip(peer), port: 7 })
      world.runFor(seconds(60))
      socketB.tryReceive()
      for (let n = 0; n < 1_500; n++) {
        stranger.send(one.forged(one.forgedAddress(n), ip(host), mac(0x1_0000 + n)))
        stranger.run(300 as Micros)
        stranger.heard.length = 0
      }
      expect(cache.list().length).toBe(1_024)
      stranger.runSeconds(1)
      const asked = cache.get(ip(peer))!
      expect(asked.state).toBe('STALE')
      socketA.send(new Uint8Array(2), { address: ip(peer), port: 7 })
      world.runFor(seconds(1))
      expect(socketB.tryReceive()?.bytes.length).toBe(2)
    })
  })

  test('an announcement of somebody unknown creates nothing', () => {
    inWorld(seed, (made) => {
      const { world, pool, hub, onA, onB } = pair(made, one)
      const stranger = new Stranger(world, pool, hub.port())
      const known = cacheOf(onA, family).list().length + cacheOf(onB, family).list().length
      for (let n = 0; n < 50; n++) stranger.tell(one.announced(one.forgedAddress(n), mac(0x1_0000 + n)))
      stranger.runSeconds(1)
      expect(cacheOf(onA, family).list().length + cacheOf(onB, family).list().length).toBe(known)
    })
  })

  test('a pinned neighbour is neither asked for nor moved', () => {
    inWorld(seed, (made) => {
      const rig = facing(made, { addresses: [withLength(host)], mac: mac(0x11) })
      const { stranger, world } = rig
      stranger.runSeconds(20)
      const cache = cacheOf(rig.on, family)
      cache.setPermanent(ip(peer), STRANGER, world.now)
      stranger.tell(one.announced(ip(peer), mac(0x66)))
      stranger.tell(one.forged(ip(peer), ip(host), mac(0x66)))
      stranger.take()
      const socket = new UdpSocket(rig.host, { family, port: 7 })
      for (let n = 0; n < 5; n++) {
        socket.send(new Uint8Array(1), { address: ip(peer), port: 7 })
        stranger.runSeconds(60)
      }
      const heard = stranger.takeHeard()
      expect(heard.map(({ text }) => text).filter((text) => one.question.test(text))).toEqual([])
      expect(heard.length).toBe(5)
      for (const { bytes } of heard) expect(MacAddress.read(new DataView(bytes.buffer), 0)).toEqual(STRANGER)
    })
  })

  test('a router that finds nobody tells the sender: host unreachable', () => {
    inWorld(seed, (made) => {
      const { world } = made
      const left = world.cable()
      const right = world.cable()
      const router = world.host('router', { forwarding: true })
      const sender = world.host('sender')
      const gateway = family === 4 ? '10.9.0.254' : '2001:db8:9::fe'
      world.attach(router, left.a, { addresses: [withLength(gateway)] })
      const outer = world.attach(router, right.a, { addresses: [withLength(host)] })
      world.attach(sender, left.b, { addresses: [withLength(family === 4 ? '10.9.0.1' : '2001:db8:9::1')] })
      sender.addGateway(ip(gateway))
      world.runFor(seconds(10))
      const socket = new IcmpSocket(sender, family)
      const failures: EchoFailure[] = []
      socket.onEchoError = (failure) => void failures.push(failure)
      socket.sendEcho(ip(nobody), 9, new Uint8Array(8))
      world.runFor(seconds(5))
      expect(failures).toMatchObject([{ sequence: 9, error: { kind: 'host-unreachable', reporter: ip(gateway) } }])
      expect(cacheOf(outer, family).list()).toEqual([])
      socket.close()
    })
  })
})
