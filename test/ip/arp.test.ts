import { describe, expect, test } from 'vitest'
import { seconds } from '../../src/time.ts'
import { ANY4, BROADCAST4, IpAddress, IpPrefix } from '../../src/wire/address.ts'
import { ARP_REPLY } from '../../src/wire/arp.ts'
import { BROADCAST_MAC, ETHERTYPE_ARP, MacAddress, ZERO_MAC } from '../../src/wire/ethernet.ts'
import { arpAnswer, arpMessage, frame, mac, STRANGER } from '../support/messages.ts'
import { type Facing, facing, inWorld } from '../support/stranger.ts'

const SEED = 826
const HOST = IpAddress.from('10.0.0.1')
const PEER = IpAddress.from('10.0.0.2')
const HOST_MAC = mac(0x11)

/** A host 10.0.0.1 whose announcements are over, and a stranger who heard nothing yet. */
function quiet(body: (made: Facing) => void): void {
  inWorld(SEED, (made) => {
    const rig = facing(made, { addresses: ['10.0.0.1/24'], mac: HOST_MAC, linkLocal: false })
    rig.stranger.runSeconds(20)
    rig.stranger.take()
    body(rig)
  })
}

/** A host that probes before it uses 10.0.0.1. */
function probing(probes: number, body: (made: Facing) => void): void {
  inWorld(SEED, (made) => body(facing(made, { addresses: ['10.0.0.1/24'], mac: HOST_MAC, linkLocal: false, probes })))
}

describe('RFC 826, the reception of a packet', () => {
  test('a request for us teaches the sender and is answered to him alone', () => {
    quiet(({ on, stranger }) => {
      stranger.tell(arpMessage(PEER, HOST))
      const [answer] = stranger.takeHeard()
      expect(answer?.text).toBe(`ARP, Reply 10.0.0.1 is-at ${HOST_MAC}, length 28`)
      expect(MacAddress.read(new DataView(answer!.bytes.buffer), 0)).toEqual(STRANGER)
      expect(on.neighbors4!.get(PEER)).toMatchObject({ state: 'STALE', mac: STRANGER })
    })
  })

  test('a request for somebody else teaches nobody, but a known sender is followed (the merge flag)', () => {
    quiet(({ host, on, stranger }) => {
      stranger.tell(arpMessage(PEER, IpAddress.from('10.0.0.3')))
      expect(on.neighbors4!.list()).toEqual([])
      expect(host.counters.drops.arpNotForUs).toBe(1)
      stranger.tell(arpMessage(PEER, HOST))
      stranger.tell(arpMessage(PEER, IpAddress.from('10.0.0.3'), { senderMac: mac(5) }))
      expect(on.neighbors4!.get(PEER)).toMatchObject({ state: 'STALE', mac: mac(5) })
      expect(on.neighbors4!.list().length).toBe(1)
    })
  })

  test.each([
    ['a gratuitous request', arpMessage(PEER, PEER)],
    ['a gratuitous reply', arpMessage(PEER, PEER, { operation: ARP_REPLY, to: BROADCAST_MAC })],
    ['a reply to us that we did not ask for', arpAnswer(PEER, HOST, HOST_MAC)],
  ])('%s of an unknown address creates nothing', (_what, bytes) => {
    quiet(({ on, stranger }) => {
      stranger.tell(bytes)
      expect(on.neighbors4!.list()).toEqual([])
      expect(stranger.take()).toEqual([])
    })
  })

  test('a gratuitous reply moves a known neighbour, who is then doubted', () => {
    quiet(({ on, stranger }) => {
      stranger.tell(arpMessage(PEER, HOST))
      on.neighbors4!.confirm(PEER, seconds(20))
      stranger.tell(arpMessage(PEER, PEER, { operation: ARP_REPLY, senderMac: mac(6), to: BROADCAST_MAC }))
      expect(on.neighbors4!.get(PEER)).toMatchObject({ state: 'STALE', mac: mac(6) })
    })
  })

  test('a probe for our address is answered and teaches nothing (RFC 5227 §2.1.1)', () => {
    quiet(({ on, stranger }) => {
      stranger.tell(arpMessage(ANY4, HOST))
      expect(stranger.take()).toEqual([`ARP, Reply 10.0.0.1 is-at ${HOST_MAC}, length 28`])
      expect(on.neighbors4!.list()).toEqual([])
    })
  })

  test('every address of the interface is answered for, and no other of the host', () => {
    quiet(({ host, on, stranger, world }) => {
      host.addAddress(on, IpPrefix.from('10.0.0.77/32'), 0)
      world.attach(host, world.cable().a, { addresses: ['10.9.0.1/24'] })
      stranger.settle()
      stranger.take()
      stranger.tell(arpMessage(PEER, IpAddress.from('10.0.0.77')))
      stranger.tell(arpMessage(PEER, IpAddress.from('10.9.0.1')))
      stranger.tell(arpMessage(PEER, IpAddress.from('127.0.0.1')))
      expect(stranger.take(/Reply/)).toEqual([`ARP, Reply 10.0.0.77 is-at ${HOST_MAC}, length 28`])
    })
  })
})

describe('malformed ARP', () => {
  const good = arpMessage(PEER, HOST)
  const broken = (at: number, value: number): Uint8Array => {
    const bytes = good.slice()
    bytes[14 + at] = value
    return bytes
  }
  test.each<[string, Uint8Array]>([
    ['hardware type, high', broken(0, 1)],
    ['hardware type, low', broken(1, 6)],
    ['protocol type, high', broken(2, 0x86)],
    ['protocol type, low', broken(3, 0xdd)],
    ['hardware length', broken(4, 8)],
    ['protocol length', broken(5, 16)],
    ['operation 0', broken(7, 0)],
    ['operation 3', broken(7, 3)],
    ['operation, high', broken(6, 1)],
    ['one byte short', good.slice(0, -1)],
    ['no payload', good.slice(0, 14)],
    ['sender MAC of a group', arpMessage(PEER, HOST, { senderMac: new MacAddress(0x0100, 5), from: STRANGER })],
    ['sender MAC broadcast', arpMessage(PEER, HOST, { senderMac: BROADCAST_MAC, from: STRANGER })],
    ['sender MAC zero', arpMessage(PEER, HOST, { senderMac: ZERO_MAC, from: STRANGER })],
    ['sender a group', arpMessage(IpAddress.from('224.0.0.5'), HOST)],
    ['sender the limited broadcast', arpMessage(BROADCAST4, HOST)],
    ["sender the network's broadcast", arpMessage(IpAddress.from('10.0.0.255'), HOST)],
    ['sender loopback', arpMessage(IpAddress.from('127.0.0.1'), HOST)],
  ])('%s: counted, not answered, not learned', (_what, bytes) => {
    quiet(({ host, on, stranger }) => {
      stranger.tell(bytes)
      expect(host.counters.drops.arpMalformed).toBe(1)
      expect(stranger.take()).toEqual([])
      expect(on.neighbors4!.list()).toEqual([])
    })
  })

  test('one that carries our own MAC address is nobody’s', () => {
    quiet(({ host, on, stranger }) => {
      stranger.tell(arpMessage(PEER, HOST, { senderMac: HOST_MAC, from: STRANGER }))
      expect(host.counters.drops.spoofedSource).toBe(1)
      expect(on.neighbors4!.list()).toEqual([])
    })
  })

  test('padding behind it does not matter', () => {
    quiet(({ stranger }) => {
      stranger.tell(
        frame(ETHERTYPE_ARP, new Uint8Array([...good.slice(14), ...new Uint8Array(18)]), STRANGER, HOST_MAC),
      )
      expect(stranger.take(/Reply 10.0.0.1/).length).toBe(1)
    })
  })
})

describe('RFC 5227', () => {
  test('§2.1.1 and §2.3: probes from nowhere a second apart, then two announcements 2 s apart', () => {
    probing(3, ({ on, stranger }) => {
      stranger.runSeconds(20)
      const heard = stranger.takeHeard()
      expect(heard.map(({ text, at }) => [Math.round(at / 1_000), text])).toEqual([
        ...[0, 1_000, 2_000].map((at) => [at, 'ARP, Request who-has 10.0.0.1 tell 0.0.0.0, length 28']),
        ...[3_000, 5_000].map((at) => [at, 'ARP, Request who-has 10.0.0.1 tell 10.0.0.1, length 28']),
      ])
      expect(on.addresses[0]!.state).toBe('preferred')
    })
  })

  test('a tentative address is not answered for, and nothing is sent from it or delivered to it', () => {
    probing(1, ({ host, stranger }) => {
      stranger.settle()
      stranger.take()
      stranger.tell(arpMessage(PEER, HOST))
      expect(stranger.take()).toEqual([])
      expect(host.settling).toBe(true)
      expect(host.ipv4.resolve(PEER, { source: null, interfaceIndex: 0 })).toBe('no-source')
      expect(host.interfaces.isLocal(HOST)).toBe(false)
      stranger.runSeconds(1)
      expect(host.settling).toBe(false)
      expect(host.ipv4.resolve(PEER, { source: null, interfaceIndex: 0 })).toMatchObject({ source: HOST })
    })
  })

  test.each([
    ['a reply', arpAnswer(HOST, ANY4, HOST_MAC)],
    ['an announcement', arpMessage(HOST, HOST)],
    ['a request of his', arpMessage(HOST, PEER)],
    ["another host's probe", arpMessage(ANY4, HOST)],
  ])('§2.1.1: %s makes a tentative address a duplicate, which is not used', (_what, bytes) => {
    probing(2, ({ host, on, stranger }) => {
      const told: string[] = []
      host.addresses.onDuplicate = (_on, entry, other) => void told.push(`${entry.address} ${other}`)
      stranger.runSeconds(1)
      stranger.take()
      stranger.tell(bytes)
      expect(on.addresses[0]!.state).toBe('duplicate')
      expect(told).toEqual([`10.0.0.1 ${STRANGER}`])
      stranger.runSeconds(60)
      stranger.tell(arpMessage(PEER, HOST))
      stranger.tell(arpMessage(ANY4, HOST))
      expect(stranger.take()).toEqual([])
      expect(host.interfaces.isLocal(HOST)).toBe(false)
      expect(host.settling).toBe(false)
      expect(host.ipv4.resolve(PEER, { source: null, interfaceIndex: 0 })).toBe('no-source')
      expect(told.length).toBe(1)
    })
  })

  test('a question for a tentative address by somebody who has another is no conflict', () => {
    probing(1, ({ on, stranger }) => {
      stranger.settle()
      stranger.tell(arpMessage(PEER, HOST))
      stranger.runSeconds(2)
      expect(on.addresses[0]!.state).toBe('preferred')
    })
  })

  test('our own probe, come back over a loop, is no conflict (§1.1)', () => {
    probing(2, ({ host, on, stranger }) => {
      stranger.settle()
      for (const { bytes } of stranger.takeHeard()) stranger.tell(bytes)
      expect(host.counters.drops.spoofedSource).toBe(1)
      stranger.runSeconds(3)
      expect(on.addresses[0]!.state).toBe('preferred')
    })
  })

  test('§2.4: a conflict later is told each time and defended once in 10 s; the address stays', () => {
    quiet(({ host, on, stranger }) => {
      let told = 0
      host.addresses.onDuplicate = () => void told++
      for (let round = 0; round < 5; round++) {
        stranger.tell(arpMessage(HOST, HOST))
        stranger.runSeconds(1)
      }
      expect(told).toBe(5)
      expect(stranger.take()).toEqual(['ARP, Request who-has 10.0.0.1 tell 10.0.0.1, length 28'])
      expect(on.neighbors4!.list()).toEqual([])
      stranger.runSeconds(5)
      stranger.tell(arpMessage(HOST, PEER))
      expect(stranger.take().length).toBe(1)
      expect(on.addresses[0]!.state).toBe('preferred')
    })
  })

  test('two hosts that both defend an address do not flood the link', () => {
    inWorld(SEED, ({ world }) => {
      const cable = world.cable()
      const hosts = [world.host('a'), world.host('b')]
      const ends = [cable.a, cable.b]
      hosts.forEach((host, index) => {
        world.attach(host, ends[index]!, { addresses: ['10.0.0.1/24'], linkLocal: false })
      })
      world.runFor(seconds(100))
      expect(cable.a.outbound.counters.packets + cable.b.outbound.counters.packets).toBeLessThan(50)
    })
  })
})
