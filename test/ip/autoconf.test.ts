import { describe, expect, test } from 'vitest'
import { UdpSocket } from '../../src/socket/udp-socket.ts'
import { seconds } from '../../src/time.ts'
import { ANY6, IpAddress, IpPrefix } from '../../src/wire/address.ts'
import { MacAddress } from '../../src/wire/ethernet.ts'
import { INFINITE_LIFETIME } from '../../src/wire/ndp.ts'
import {
  advertisement,
  mac,
  prefixInformation,
  type RouterOptions,
  routerAdvertisement,
  STRANGER,
  solicitation,
} from '../support/messages.ts'
import { type Facing, facing, inWorld } from '../support/stranger.ts'

const SEED = 4862
const HOST_MAC = mac(0x11)
const LINK_LOCAL = IpAddress.from('fe80::ff:fe00:11')
const ROUTER = IpAddress.from('fe80::99')
const FAR = IpAddress.from('2001:db8:ffff::1')
const PREFIX = '2001:db8:7::/64'
const OWN = IpAddress.from('2001:db8:7::ff:fe00:11')
const ANYWHERE = { source: null, interfaceIndex: 0 }

interface Options {
  acceptRouters?: boolean
  forwarding?: boolean
  probes?: number
  mtu?: number
  mac?: MacAddress
}

/** A host that looks for routers, at the beginning. */
function listening(body: (made: Facing) => void, options: Options = {}): void {
  inWorld(SEED, (made) => body(facing(made, { mac: HOST_MAC, acceptRouters: true, probes: 0, ...options })))
}

const advertise = ({ stranger }: Facing, options: RouterOptions = {}): void =>
  stranger.tell(routerAdvertisement(ROUTER, options))

describe('RFC 4861 §6.3.7, router solicitations', () => {
  test('three, 4 s and a little apart, from the link-local address, then silence', () => {
    listening(({ stranger }) => {
      stranger.runSeconds(100)
      const heard = stranger.takeHeard(/router solicitation/)
      expect(heard.length).toBe(3)
      expect(heard[0]!.text).toBe(`IP6 ${LINK_LOCAL} > ff02::2: ICMP6, router solicitation, length 16`)
      for (const index of [1, 2]) {
        const gap = heard[index]!.at - heard[index - 1]!.at
        expect(gap).toBeGreaterThanOrEqual(seconds(4))
        expect(gap).toBeLessThan(seconds(4.2))
      }
    })
  })

  test('not before the link-local address is known to be unique', () => {
    listening(
      ({ stranger }) => {
        stranger.run(seconds(0.999))
        expect(stranger.take(/router solicitation/)).toEqual([])
        stranger.run(seconds(0.001))
        expect(stranger.take(/router solicitation/).length).toBe(1)
      },
      { probes: 1 },
    )
  })

  test('a default router ends them, a router that is none does not', () => {
    listening((rig) => {
      rig.stranger.settle()
      advertise(rig, { lifetime: 0 })
      rig.stranger.runSeconds(5)
      expect(rig.stranger.take(/router solicitation/).length).toBe(2)
      advertise(rig)
      rig.stranger.runSeconds(100)
      expect(rig.stranger.take(/router solicitation/)).toEqual([])
    })
  })

  test('who does not want routers asks for none, and believes none', () => {
    listening(
      (rig) => {
        rig.stranger.runSeconds(20)
        advertise(rig, { hopLimit: 3, mtu: 1_300, prefixes: [prefixInformation(PREFIX)] })
        expect(rig.stranger.take(/router solicitation/)).toEqual([])
        expect(rig.host.ipv6.resolve(FAR, ANYWHERE)).toBe('no-route')
        expect(rig.on.addresses.map(({ address }) => address)).toEqual([LINK_LOCAL])
        expect(rig.on).toMatchObject({ hopLimit: 0, mtu: 1_500 })
      },
      { acceptRouters: false },
    )
  })

  test('a router asks for none and believes none (§6.2.7)', () => {
    listening(
      (rig) => {
        rig.stranger.runSeconds(20)
        advertise(rig, { prefixes: [prefixInformation(PREFIX)] })
        expect(rig.stranger.take(/router solicitation/)).toEqual([])
        expect(rig.host.ipv6.resolve(FAR, ANYWHERE)).toBe('no-route')
        expect(rig.on.find(OWN)).toBeUndefined()
      },
      { forwarding: true },
    )
  })
})

describe('RFC 4861 §6.1.2 and §6.3.4, router advertisements', () => {
  test.each<[string, Uint8Array]>([
    ['not from a link-local address', routerAdvertisement(IpAddress.from('2001:db8::99'))],
    ['from nowhere', routerAdvertisement(ANY6)],
    ['with hop limit 254', routerAdvertisement(ROUTER, { ipHopLimit: 254 })],
    ['with hop limit 64', routerAdvertisement(ROUTER, { ipHopLimit: 64 })],
  ])('one %s is ignored', (_what, bytes) => {
    listening(({ host, stranger }) => {
      stranger.tell(bytes)
      expect(host.counters.drops.ndpMalformed).toBe(1)
      expect(host.ipv6.resolve(FAR, ANYWHERE)).toBe('no-route')
    })
  })

  test('the router becomes the default route, and is known as a router', () => {
    listening((rig) => {
      advertise(rig)
      expect(rig.host.ipv6.resolve(FAR, ANYWHERE)).toMatchObject({ nextHop: ROUTER, source: LINK_LOCAL })
      expect(rig.on.neighbors6!.get(ROUTER)).toMatchObject({ isRouter: true, mac: STRANGER, state: 'STALE' })
    })
  })

  test('the route ends with its lifetime, or at once with lifetime 0', () => {
    listening((rig) => {
      const { host, stranger } = rig
      advertise(rig, { lifetime: 60 })
      stranger.runSeconds(59)
      advertise(rig, { lifetime: 60 })
      stranger.runSeconds(59)
      expect(host.ipv6.resolve(FAR, ANYWHERE)).toMatchObject({ nextHop: ROUTER })
      stranger.runSeconds(1)
      expect(host.ipv6.resolve(FAR, ANYWHERE)).toBe('no-route')
      advertise(rig)
      expect(host.ipv6.resolve(FAR, ANYWHERE)).toMatchObject({ nextHop: ROUTER })
      advertise(rig, { lifetime: 0 })
      expect(host.ipv6.resolve(FAR, ANYWHERE)).toBe('no-route')
      stranger.runSeconds(10_000)
      expect(host.routes.list().filter(({ origin }) => origin === 'router-advertisement')).toEqual([])
    })
  })

  test('a default route made by hand survives the router of the same name', () => {
    listening((rig) => {
      const { host, on, stranger } = rig
      host.addGateway(ROUTER, on)
      advertise(rig, { lifetime: 10 })
      stranger.runSeconds(11)
      expect(host.ipv6.resolve(FAR, ANYWHERE)).toMatchObject({ nextHop: ROUTER })
    })
  })

  test('RFC 4191 §2.1: the router with the higher preference wins, and may change its mind', () => {
    listening((rig) => {
      const { host, stranger } = rig
      const other = IpAddress.from('fe80::77')
      advertise(rig, { preference: 0 })
      stranger.tell(routerAdvertisement(other, { preference: 1, from: mac(0x77) }))
      expect(host.ipv6.resolve(FAR, ANYWHERE)).toMatchObject({ nextHop: other })
      stranger.tell(routerAdvertisement(other, { preference: -1, from: mac(0x77) }))
      expect(host.ipv6.resolve(FAR, ANYWHERE)).toMatchObject({ nextHop: ROUTER })
      expect(host.routes.list().filter(({ prefix }) => prefix.length === 0).length).toBe(2)
    })
  })

  test('§7.2.5: a router that says it is none is none any more', () => {
    listening((rig) => {
      advertise(rig)
      rig.stranger.tell(advertisement(ROUTER, { router: true, override: true }))
      expect(rig.host.ipv6.resolve(FAR, ANYWHERE)).toMatchObject({ nextHop: ROUTER })
      rig.stranger.tell(advertisement(ROUTER, { router: false, override: true }))
      expect(rig.host.ipv6.resolve(FAR, ANYWHERE)).toBe('no-route')
    })
  })

  test('the hop limit is used for what is sent there, unless a socket says otherwise; 0 says nothing', () => {
    listening((rig) => {
      const { host, stranger } = rig
      const socket = new UdpSocket(host, { family: 6 })
      advertise(rig, { prefixes: [prefixInformation(PREFIX)] })
      const hopLimitOf = (): number => {
        stranger.take()
        socket.send(new Uint8Array(1), { address: FAR, port: 9 })
        stranger.settle()
        return stranger.takeHeard(/UDP/)[0]!.bytes[14 + 7]!
      }
      expect(hopLimitOf()).toBe(64)
      advertise(rig, { hopLimit: 47 })
      expect(hopLimitOf()).toBe(47)
      advertise(rig, { hopLimit: 0 })
      expect(hopLimitOf()).toBe(47)
      advertise(rig, { hopLimit: 1 })
      expect(hopLimitOf()).toBe(47)
      socket.endpoint.hopLimit = 5
      expect(hopLimitOf()).toBe(5)
      socket.close()
    })
  })

  test('the MTU is taken between 1,280 and what the link can, also by sockets that have sent before', () => {
    listening(
      (rig) => {
        const { host, on, stranger } = rig
        advertise(rig, { prefixes: [prefixInformation(PREFIX)] })
        const socket = new UdpSocket(host, { family: 6 })
        const longest = (): number => {
          stranger.take()
          socket.send(new Uint8Array(1_400), { address: FAR, port: 9 })
          stranger.settle()
          return Math.max(...stranger.takeHeard(/frag|UDP/).map(({ bytes }) => bytes.length - 14))
        }
        expect(longest()).toBeGreaterThan(1_400)
        for (const mtu of [1_279, 1_495, 1_501, 9_000, 0xffff_ffff]) {
          advertise(rig, { mtu })
          expect(on.mtu).toBe(1_490)
        }
        advertise(rig, { mtu: 1_300 })
        expect(on.mtu).toBe(1_300)
        expect(longest()).toBeLessThanOrEqual(1_300)
        advertise(rig, { mtu: 1_490 })
        expect(longest()).toBeGreaterThan(1_400)
        socket.close()
      },
      { mtu: 1_490 },
    )
  })

  test('the reachable time and the time between questions are used', () => {
    listening((rig) => {
      const { on, stranger, host } = rig
      advertise(rig, { reachableTime: 2_000, retransmitTime: 250 })
      const cache = on.neighbors6!
      cache.confirm(ROUTER, rig.world.now)
      stranger.runSeconds(1)
      expect(cache.get(ROUTER)!.state).toBe('REACHABLE')
      stranger.runSeconds(2)
      expect(cache.get(ROUTER)!.state).toBe('STALE')
      advertise(rig, { prefixes: [prefixInformation(PREFIX)] })
      stranger.take()
      const socket = new UdpSocket(host, { family: 6 })
      socket.send(new Uint8Array(1), { address: IpAddress.from('2001:db8:7::5'), port: 9 })
      stranger.runSeconds(2)
      const heard = stranger.takeHeard(/who has 2001:db8:7::5/)
      expect(heard.map(({ at }) => at - heard[0]!.at)).toEqual([0, 250_000, 500_000])
      socket.close()
    })
  })

  test('a flood of them is bounded: neighbours, routes and addresses', () => {
    listening((rig) => {
      const { host, on, stranger } = rig
      advertise(rig, { prefixes: [prefixInformation(PREFIX)] })
      for (let n = 0; n < 2_000; n++) {
        const router = new IpAddress(6, 0xfe80_0000, 0, 1, n)
        const prefixes = [0, 1, 2].map((k) => prefixInformation(`2001:db8:${(3 * n + k).toString(16)}:1::/64`))
        stranger.tell(routerAdvertisement(router, { from: mac(0x1_0000 + n), prefixes, preference: 1 }))
      }
      expect(on.neighbors6!.list().length).toBe(1_024)
      expect(host.routes.list().filter(({ origin }) => origin === 'router-advertisement').length).toBe(16)
      expect(on.addresses.length).toBe(1 + 16)
      expect(on.find(OWN)?.usable).toBe(true)
      expect(host.routes.list().some(({ gateway }) => gateway?.equals(ROUTER))).toBe(true)
      expect(host.multicast.groups(on).length).toBeLessThanOrEqual(17)
    })
  })

  test('the on-link flag makes a route without a router, for as long as the prefix is valid', () => {
    listening((rig) => {
      const neighbour = IpAddress.from('2001:db8:7::5')
      const { host, stranger } = rig
      advertise(rig, { prefixes: [prefixInformation(PREFIX, { onLink: false })] })
      expect(host.ipv6.resolve(neighbour, ANYWHERE)).toMatchObject({ nextHop: ROUTER, source: OWN })
      advertise(rig, { prefixes: [prefixInformation(PREFIX, { validLifetime: 100, preferredLifetime: 10 })] })
      expect(host.ipv6.resolve(neighbour, ANYWHERE)).toMatchObject({ nextHop: neighbour })
      stranger.runSeconds(99)
      expect(host.ipv6.resolve(neighbour, ANYWHERE)).toMatchObject({ nextHop: neighbour })
      stranger.runSeconds(1)
      expect(host.ipv6.resolve(neighbour, ANYWHERE)).toMatchObject({ nextHop: ROUTER })
      const none = { validLifetime: 0, preferredLifetime: 0, autonomous: false }
      advertise(rig, { prefixes: [prefixInformation(PREFIX, { validLifetime: INFINITE_LIFETIME })] })
      expect(host.ipv6.resolve(neighbour, ANYWHERE)).toMatchObject({ nextHop: neighbour })
      advertise(rig, { prefixes: [prefixInformation(PREFIX, none)] })
      expect(host.ipv6.resolve(neighbour, ANYWHERE)).toMatchObject({ nextHop: ROUTER })
    })
  })

  test('an address of our own in an advertised prefix and the prefix keep each its own route', () => {
    listening((rig) => {
      const neighbour = IpAddress.from('2001:db8:7::5')
      const { host, on, stranger } = rig
      const own = IpPrefix.from('2001:db8:7::1/64')
      host.addAddress(on, own, 0)
      advertise(rig, {
        lifetime: 0,
        prefixes: [prefixInformation(PREFIX, { validLifetime: 50, preferredLifetime: 50 })],
      })
      stranger.runSeconds(51)
      expect(host.ipv6.resolve(neighbour, ANYWHERE)).toMatchObject({ nextHop: neighbour })
      advertise(rig, {
        lifetime: 0,
        prefixes: [prefixInformation(PREFIX, { validLifetime: 50, preferredLifetime: 50 })],
      })
      host.removeAddress(on, own.address)
      expect(host.ipv6.resolve(neighbour, ANYWHERE)).toMatchObject({ nextHop: neighbour })
      stranger.runSeconds(51)
      expect(host.ipv6.resolve(neighbour, ANYWHERE)).toBe('no-route')
    })
  })
})

describe('RFC 4862 §5.5.3, addresses', () => {
  test('the identifier is the modified EUI-64 of the MAC address (RFC 2464 §4)', () => {
    listening(
      (rig) => {
        advertise(rig, { prefixes: [prefixInformation(PREFIX)] })
        expect(rig.on.addresses.map(({ address, origin }) => `${address} ${origin}`)).toEqual([
          'fe80::212:34ff:fe56:789a link-local',
          '2001:db8:7:0:212:34ff:fe56:789a autoconf',
        ])
      },
      { mac: MacAddress.from('00:12:34:56:78:9a') },
    )
  })

  test('an address is probed like any other, and then used', () => {
    listening(
      (rig) => {
        rig.stranger.runSeconds(2)
        rig.stranger.take()
        advertise(rig, { prefixes: [prefixInformation(PREFIX)] })
        expect(rig.stranger.take(/who has 2001:db8:7::ff:fe00:11/).length).toBe(1)
        expect(rig.on.find(OWN)?.state).toBe('tentative')
        // A second advertisement meanwhile changes nothing.
        advertise(rig, { prefixes: [prefixInformation(PREFIX)] })
        rig.stranger.runSeconds(1)
        expect(rig.on.find(OWN)?.state).toBe('preferred')
        expect(rig.stranger.take(/who has/)).toEqual([])
      },
      { probes: 1 },
    )
  })

  test('a duplicate goes with its lifetime, and may then be tried again', () => {
    listening(
      (rig) => {
        const prefixes = [prefixInformation(PREFIX, { validLifetime: 50, preferredLifetime: 50 })]
        advertise(rig, { prefixes })
        rig.stranger.tell(solicitation(ANY6, OWN))
        expect(rig.on.find(OWN)?.state).toBe('duplicate')
        rig.stranger.runSeconds(49)
        expect(rig.on.find(OWN)?.state).toBe('duplicate')
        rig.stranger.runSeconds(1)
        expect(rig.on.find(OWN)).toBeUndefined()
        advertise(rig, { prefixes })
        rig.stranger.runSeconds(1)
        expect(rig.on.find(OWN)?.state).toBe('preferred')
      },
      { probes: 1 },
    )
  })

  test.each([
    ['of 63 bits', '2001:db8:7::/63', {}],
    ['of 65 bits', '2001:db8:7::/65', {}],
    ['of 128 bits', '2001:db8:7::/128', {}],
    ['without the autonomous flag', PREFIX, { autonomous: false }],
    ['that is preferred longer than it is valid', PREFIX, { preferredLifetime: 7_201 }],
    ['that is not valid', PREFIX, { validLifetime: 0, preferredLifetime: 0 }],
    ['link-local', 'fe80::/64', {}],
    ['of groups', 'ff0e::/64', {}],
  ])('a prefix %s gives no address', (_what, prefix, options) => {
    listening((rig) => {
      advertise(rig, { prefixes: [prefixInformation(prefix, options)] })
      expect(rig.on.addresses.length).toBe(1)
    })
  })

  test('deprecated after the preferred lifetime: still ours, no longer the first choice; then gone (§5.5.4)', () => {
    listening((rig) => {
      const { on, stranger, host } = rig
      const second = '2001:db8:8::/64'
      const prefixes = [
        prefixInformation(PREFIX, { validLifetime: 100, preferredLifetime: 50 }),
        prefixInformation(second, { validLifetime: INFINITE_LIFETIME, preferredLifetime: INFINITE_LIFETIME }),
      ]
      advertise(rig, { prefixes })
      const target = IpAddress.from('2001:db8:7:1::1')
      const source = (): unknown => {
        const way = host.ipv6.resolve(target, ANYWHERE)
        return typeof way === 'string' ? way : String(way.source)
      }
      expect(source()).toBe(String(OWN))
      stranger.runSeconds(49)
      expect(on.find(OWN)?.state).toBe('preferred')
      stranger.runSeconds(1)
      expect(on.find(OWN)?.state).toBe('deprecated')
      expect(source()).toBe('2001:db8:8::ff:fe00:11')
      expect(host.interfaces.isLocal(OWN)).toBe(true)
      stranger.runSeconds(50)
      expect(on.find(OWN)).toBeUndefined()
      stranger.runSeconds(100_000)
      expect(on.find(IpAddress.from('2001:db8:8::ff:fe00:11'))?.state).toBe('preferred')
    })
  })

  test('an advertisement revives a deprecated address, and sockets use it again', () => {
    listening((rig) => {
      const { on, stranger, host } = rig
      advertise(rig, { prefixes: [prefixInformation(PREFIX, { preferredLifetime: 50 })] })
      stranger.runSeconds(60)
      const way = host.ipv6.resolve(FAR, ANYWHERE)
      if (typeof way === 'string') throw new Error(way)
      advertise(rig, { prefixes: [prefixInformation(PREFIX)] })
      expect(on.find(OWN)?.state).toBe('preferred')
      expect(host.ipv6.isFresh(way)).toBe(false)
    })
  })

  // [had, said after, left then], in seconds
  test.each([
    ['raised beyond two hours', 7_200, 10_000, 10_000],
    ['raised, though below two hours', 1_000, 1_500, 1_500],
    ['lowered, but not below two hours', 20_000, 8_000, 8_000],
    ['lowered to two hours', 20_000, 100, 7_200],
    ['lowered to two hours by an end', 20_000, 0, 7_200],
    ['not lowered where two hours or less are left', 7_000, 100, 7_000],
    ['for ever lowered to two hours', INFINITE_LIFETIME, 5, 7_200],
    ['raised to for ever', 1_000, INFINITE_LIFETIME, Number.POSITIVE_INFINITY],
  ])('e: a valid lifetime is %s (%i s, then %i s: %i s)', (_what, had, said, left) => {
    listening((rig) => {
      const short = { preferredLifetime: 0 }
      advertise(rig, { prefixes: [prefixInformation(PREFIX, { ...short, validLifetime: had })] })
      expect(rig.on.find(OWN)).toBeDefined()
      advertise(rig, { prefixes: [prefixInformation(PREFIX, { ...short, validLifetime: said })] })
      expect((rig.on.find(OWN)!.validUntil - rig.world.now) / 1_000_000).toBe(left)
    })
  })

  test('e: the preferred lifetime is always what was said last', () => {
    listening((rig) => {
      advertise(rig, { prefixes: [prefixInformation(PREFIX, { preferredLifetime: 3_000, validLifetime: 5_000 })] })
      advertise(rig, { prefixes: [prefixInformation(PREFIX, { preferredLifetime: 0, validLifetime: 5_000 })] })
      rig.stranger.settle()
      expect(rig.on.find(OWN)?.state).toBe('deprecated')
    })
  })

  test('an address set by hand is not touched', () => {
    listening((rig) => {
      rig.host.addAddress(rig.on, new IpPrefix(OWN, 64), 0)
      advertise(rig, { prefixes: [prefixInformation(PREFIX, { preferredLifetime: 1, validLifetime: 2 })] })
      rig.stranger.runSeconds(10)
      expect(rig.on.find(OWN)).toMatchObject({ state: 'preferred', origin: 'static' })
    })
  })
})
