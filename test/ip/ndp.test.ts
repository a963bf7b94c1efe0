import { describe, expect, test } from 'vitest'
import { millis, seconds } from '../../src/time.ts'
import { ALL_NODES6, ANY6, IpAddress, IpPrefix, solicitedNode } from '../../src/wire/address.ts'
import { BROADCAST_MAC, MacAddress, multicastMac, ZERO_MAC } from '../../src/wire/ethernet.ts'
import { PROTOCOL_ICMP6, pseudoHeaderSum } from '../../src/wire/ipv4.ts'
import { NEXT_FRAGMENT } from '../../src/wire/ipv6-extensions.ts'
import {
  advertisementOverride,
  advertisementRouter,
  advertisementSolicited,
  emitNeighborSolicitation,
} from '../../src/wire/ndp.ts'
import { advertisement, icmp6Frame, ip6Frame, mac, STRANGER, solicitation, udpFrame } from '../support/messages.ts'
import { type Facing, facing, inWorld } from '../support/stranger.ts'
import { built, checksummed, joined } from '../wire/frames.ts'

const SEED = 4861
const HOST = IpAddress.from('2001:db8::1')
const HOST_MAC = mac(0x11)
const LINK_LOCAL = IpAddress.from('fe80::ff:fe00:11')
const PEER = IpAddress.from('fe80::99')
/** NDP alone, without MLD's reports. */
const NDP = /neighbor|router/

function quiet(body: (made: Facing) => void, options: { forwarding?: boolean } = {}): void {
  inWorld(SEED, (made) => {
    const rig = facing(made, { addresses: ['2001:db8::1/64'], mac: HOST_MAC, ...options })
    rig.stranger.runSeconds(20)
    rig.stranger.take()
    body(rig)
  })
}

/** A host that probes once before it uses its link-local address and 2001:db8::1. */
function probing(body: (made: Facing) => void): void {
  inWorld(SEED, (made) => body(facing(made, { addresses: ['2001:db8::1/64'], mac: HOST_MAC, probes: 1 })))
}

const icmpAt = 14 + 40

describe('RFC 4861 §7.2.3 and §7.2.4', () => {
  test('a solicitation teaches the sender and is answered to him, solicited and overriding', () => {
    quiet(({ on, stranger }) => {
      stranger.tell(solicitation(PEER, HOST))
      const [answer] = stranger.takeHeard()
      const view = new DataView(answer!.bytes.buffer)
      expect(answer!.text).toBe(
        'IP6 2001:db8::1 > fe80::99: ICMP6, neighbor advertisement, tgt is 2001:db8::1, length 32',
      )
      expect(MacAddress.read(view, 0)).toEqual(STRANGER)
      expect(view.getUint8(14 + 7)).toBe(255)
      expect(advertisementSolicited(view, icmpAt)).toBe(true)
      expect(advertisementOverride(view, icmpAt)).toBe(true)
      expect(advertisementRouter(view, icmpAt)).toBe(false)
      expect(on.neighbors6!.get(PEER)).toMatchObject({ state: 'STALE', mac: STRANGER })
    })
  })

  test('a router says that it is one', () => {
    quiet(
      ({ stranger }) => {
        stranger.tell(solicitation(PEER, HOST))
        const [answer] = stranger.takeHeard(NDP)
        expect(advertisementRouter(new DataView(answer!.bytes.buffer), icmpAt)).toBe(true)
      },
      { forwarding: true },
    )
  })

  test('one for somebody else is not answered and not learned from', () => {
    quiet(({ host, on, stranger }) => {
      stranger.tell(solicitation(PEER, IpAddress.from('2001:db8::2'), { destination: solicitedNode(HOST) }))
      expect(stranger.take()).toEqual([])
      expect(on.neighbors6!.list()).toEqual([])
      expect(host.counters.drops.ndpNotForUs).toBe(1)
    })
  })

  test('a probe for our address is answered to all nodes, unsolicited (§7.2.4)', () => {
    quiet(({ on, stranger }) => {
      stranger.tell(solicitation(ANY6, HOST))
      const [answer] = stranger.takeHeard()
      const view = new DataView(answer!.bytes.buffer)
      expect(IpAddress.read6(view, 14 + 24)).toEqual(ALL_NODES6)
      expect(MacAddress.read(view, 0)).toEqual(multicastMac(ALL_NODES6))
      expect(advertisementSolicited(view, icmpAt)).toBe(false)
      expect(on.neighbors6!.list()).toEqual([])
    })
  })

  test('an advertisement of a stranger creates nothing (§7.2.5)', () => {
    quiet(({ on, stranger }) => {
      stranger.tell(advertisement(PEER, { override: true }))
      stranger.tell(advertisement(PEER, { override: true, solicited: true, destination: HOST, to: HOST_MAC }))
      expect(on.neighbors6!.list()).toEqual([])
    })
  })
})

describe('what does not pass §7.1', () => {
  const good = (): Uint8Array => solicitation(PEER, HOST)
  const patched = (at: number, value: number): Uint8Array => {
    const bytes = good()
    bytes[icmpAt + at] = value
    const sum = pseudoHeaderSum(PEER, solicitedNode(HOST), PROTOCOL_ICMP6, bytes.length - icmpAt)
    return joined(bytes.slice(0, icmpAt), checksummed(bytes.slice(icmpAt), 2, sum))
  }
  test.each<[string, () => Uint8Array]>([
    ['hop limit 254', () => solicitation(PEER, HOST, { hopLimit: 254 })],
    ['hop limit 1', () => solicitation(PEER, HOST, { hopLimit: 1 })],
    ['code 1', () => patched(1, 1)],
    [
      'a target that is a group',
      () => solicitation(PEER, IpAddress.from('ff02::1:2'), { destination: solicitedNode(HOST) }),
    ],
    ['an option of length 0', () => patched(25, 0)],
    ['an option that ends beyond the message', () => patched(25, 2)],
    ['a probe with a MAC address', () => solicitation(ANY6, HOST, { mac: STRANGER })],
    ['a probe to all nodes', () => solicitation(ANY6, HOST, { destination: ALL_NODES6 })],
    ['the MAC address of a group', () => solicitation(PEER, HOST, { mac: multicastMac(ALL_NODES6) })],
    ['the broadcast MAC address', () => solicitation(PEER, HOST, { mac: BROADCAST_MAC })],
    ['the MAC address zero', () => solicitation(PEER, HOST, { mac: ZERO_MAC })],
    ['an advertisement that is solicited, to all', () => advertisement(PEER, { solicited: true })],
    ['an advertisement with hop limit 64', () => advertisement(PEER, { hopLimit: 64 })],
    ['an advertisement of a group', () => advertisement(IpAddress.from('ff02::99'), { source: PEER })],
    ['an advertisement of the broadcast MAC', () => advertisement(PEER, { mac: BROADCAST_MAC, override: true })],
  ])('%s: counted, not answered, not learned', (_what, make) => {
    quiet(({ host, on, stranger }) => {
      on.neighbors6!.learn(PEER, mac(7))
      stranger.tell(make())
      expect(host.counters.drops.ndpMalformed).toBe(1)
      expect(stranger.take()).toEqual([])
      expect(on.neighbors6!.list()).toMatchObject([{ address: PEER, mac: mac(7), state: 'STALE' }])
    })
  })

  test('a solicitation cut short is refused at every length', () => {
    quiet(({ host, on, stranger }) => {
      const message = built((view) => emitNeighborSolicitation(view, 0, HOST, null))
      for (let length = 4; length < message.length; length++) {
        stranger.tell(icmp6Frame(message.slice(0, length), { source: PEER, destination: solicitedNode(HOST) }))
      }
      expect(host.counters.Icmp6InErrors).toBe(message.length - 4)
      expect(stranger.take()).toEqual([])
      expect(on.neighbors6!.list()).toEqual([])
    })
  })

  test('a fragment header, even around all of it, hides nothing from us (RFC 6980 §5)', () => {
    quiet(({ host, stranger }) => {
      const plain = good().slice(icmpAt)
      const header = new Uint8Array([PROTOCOL_ICMP6, 0, 0, 0, 0, 0, 0, 1])
      const way = { source: PEER, destination: solicitedNode(HOST), hopLimit: 255 }
      stranger.tell(ip6Frame(NEXT_FRAGMENT, joined(header, plain), way))
      expect(host.counters.drops.ndpMalformed).toBe(1)
      expect(stranger.take()).toEqual([])
    })
  })
})

describe('RFC 4862 §5.4, duplicate address detection', () => {
  test('the group is joined, the address probed from nowhere, and used a second later', () => {
    probing(({ host, on, stranger }) => {
      stranger.settle()
      const heard = stranger.takeHeard()
      const report = heard.findIndex(({ text }) => /multicast listener report v2/.test(text))
      const probe = heard.findIndex(({ text }) => /who has 2001:db8::1/.test(text))
      expect(report).toBeGreaterThanOrEqual(0)
      expect(report).toBeLessThan(probe)
      expect(heard[report]!.text).toContain('IP6 :: > ff02::16')
      expect(heard[probe]!.text).toContain('IP6 :: > ff02::1:ff00:1: ICMP6, neighbor solicitation, who has 2001:db8::1')
      expect(heard[probe]!.bytes.length).toBe(icmpAt + 24)
      expect(host.settling).toBe(true)
      stranger.run(millis(999))
      expect(on.addresses.map(({ state }) => state)).toEqual(['tentative', 'tentative'])
      stranger.run(millis(1))
      expect(on.addresses.map(({ state }) => state)).toEqual(['preferred', 'preferred'])
      expect(on.find(LINK_LOCAL)?.origin).toBe('link-local')
    })
  })

  test.each([
    ['an advertisement to all nodes', advertisement(HOST)],
    ['an advertisement without MAC address', advertisement(HOST, { mac: null, source: PEER })],
    ["another host's probe", solicitation(ANY6, HOST)],
  ])('%s makes the address a duplicate, which is not used', (_what, bytes) => {
    probing(({ host, on, stranger }) => {
      const told: string[] = []
      host.addresses.onDuplicate = (_on, entry, other) => void told.push(`${entry.address} ${other}`)
      stranger.settle()
      stranger.tell(bytes)
      expect(told).toEqual([`2001:db8::1 ${STRANGER}`])
      stranger.runSeconds(60)
      expect(on.find(HOST)?.state).toBe('duplicate')
      expect(on.find(LINK_LOCAL)?.state).toBe('preferred')
      stranger.take()
      stranger.tell(solicitation(PEER, HOST))
      expect(stranger.take(NDP)).toEqual([])
      expect(host.interfaces.isLocal(HOST)).toBe(false)
      const way = host.ipv6.resolve(IpAddress.from('2001:db8::7'), { source: null, interfaceIndex: 0 })
      expect(way).toMatchObject({ source: LINK_LOCAL })
    })
  })

  test('our own probe, come back over a loop, is none of another host (§5.4.3)', () => {
    probing(({ on, stranger }) => {
      stranger.settle()
      for (const { bytes } of stranger.takeHeard()) stranger.tell(bytes)
      stranger.runSeconds(2)
      expect(on.addresses.map(({ state }) => state)).toEqual(['preferred', 'preferred'])
    })
  })

  test('a solicitation from somewhere is left unanswered, and is no conflict (§5.4.3)', () => {
    probing(({ on, stranger }) => {
      stranger.settle()
      stranger.take()
      stranger.tell(solicitation(PEER, HOST))
      expect(stranger.take(/advertisement/)).toEqual([])
      expect(on.neighbors6!.list()).toEqual([])
      stranger.runSeconds(2)
      expect(on.find(HOST)?.state).toBe('preferred')
    })
  })

  test('a tentative address receives nothing else (§5.4)', () => {
    probing(({ host, stranger }) => {
      stranger.settle()
      stranger.take()
      const way = { source: PEER, destination: HOST, to: HOST_MAC }
      stranger.tell(udpFrame(new Uint8Array(3), { ...way, port: 9 }))
      stranger.tell(icmp6Frame(new Uint8Array([128, 0, 0, 0, 0, 1, 0, 1]), way))
      expect(host.counters.drops.tentativeAddress).toBe(2)
      expect(stranger.take()).toEqual([])
      stranger.runSeconds(1)
      stranger.take()
      stranger.tell(udpFrame(new Uint8Array(3), { ...way, port: 9 }))
      expect(host.counters.drops.udpNoPort).toBe(1)
    })
  })

  test('a conflict over an address in use is told and defended once in 10 s', () => {
    quiet(({ host, on, stranger }) => {
      let told = 0
      host.addresses.onDuplicate = () => void told++
      for (let round = 0; round < 4; round++) {
        stranger.tell(advertisement(HOST, { source: PEER, override: true }))
        stranger.runSeconds(1)
      }
      expect(told).toBe(4)
      expect(stranger.take(/tgt is 2001:db8::1/).length).toBe(1)
      expect(on.find(HOST)?.state).toBe('preferred')
    })
  })

  test('what was reported from :: is reported again from the link-local address (RFC 3810 §5.2.13)', () => {
    probing(({ stranger }) => {
      stranger.runSeconds(5)
      const sources = stranger.take(/listener report/).map((text) => text.split(' ')[1])
      // Two groups, each told twice before and twice after.
      expect(sources).toEqual([...Array(4).fill('::'), ...Array(4).fill(String(LINK_LOCAL))])
    })
  })
})

describe('addresses that share a group', () => {
  test('the solicited-node group is left with the last of them', () => {
    quiet(({ host, on, stranger }) => {
      const twin = IpPrefix.from('2001:db8:1::1/64')
      host.addAddress(on, twin, 0)
      stranger.runSeconds(3)
      stranger.take()
      host.removeAddress(on, HOST)
      stranger.runSeconds(3)
      expect(stranger.take(/listener/)).toEqual([])
      host.removeAddress(on, twin.address)
      stranger.run(seconds(3))
      expect(stranger.take(/listener/).length).toBe(2)
      expect(host.multicast.isMember(on, solicitedNode(HOST))).toBe(false)
    })
  })
})
