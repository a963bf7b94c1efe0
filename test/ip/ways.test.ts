import { describe, expect, test } from 'vitest'
import type { Interface } from '../../src/ip/interface.ts'
import type { NoWay, Way } from '../../src/ip/seams.ts'
import type { Stack } from '../../src/stack.ts'
import { IpAddress, IpPrefix } from '../../src/wire/address.ts'
import { mac } from '../support/messages.ts'
import { inWorld, type TestWorld } from '../support/stranger.ts'

const SEED = 1122
const ip = (text: string): IpAddress => IpAddress.from(text)

/** A host with two links, eth0 and eth1. */
function twoLinked(body: (made: TestWorld & { host: Stack; eth0: Interface; eth1: Interface }) => void): void {
  inWorld(SEED, (made) => {
    const { world } = made
    const host = world.host('host')
    const eth0 = world.attach(host, world.cable().a, { addresses: ['10.0.0.1/24', '2001:db8::1/64'], mac: mac(1) })
    const eth1 = world.attach(host, world.cable().a, { addresses: ['10.1.0.1/24', '2001:db8:1::1/64'], mac: mac(2) })
    world.runFor(0 as typeof world.now)
    body({ ...made, host, eth0, eth1 })
  })
}

const resolve = (host: Stack, to: string, source: string | null = null, interfaceIndex = 0): Way | NoWay =>
  (to.includes(':') ? host.ipv6 : host.ipv4).resolve(ip(to), {
    source: source === null ? null : ip(source),
    interfaceIndex,
  })

const short = (way: Way | NoWay): string =>
  typeof way === 'string' ? way : `${way.source} > ${way.nextHop} dev ${way.interfaceIndex}`

describe('routes that lead nowhere', () => {
  test('a blackhole and a prohibition need no interface, and win by their length', () => {
    twoLinked(({ host }) => {
      host.addGateway(ip('10.0.0.254'))
      host.routes.add({ prefix: IpPrefix.from('192.0.2.0/24'), interfaceIndex: 0, kind: 'blackhole' })
      host.routes.add({ prefix: IpPrefix.from('198.51.100.0/24'), interfaceIndex: 0, kind: 'prohibit' })
      expect(resolve(host, '192.0.2.1')).toBe('no-route')
      expect(resolve(host, '198.51.100.1')).toBe('prohibited')
      expect(short(resolve(host, '192.0.3.1'))).toBe('10.0.0.1 > 10.0.0.254 dev 2')
    })
  })
})

describe('the loopback device', () => {
  test('its MTU is 65,536, of which an IPv4 packet can have 65,535 (RFC 791 §3.1), and IPv6 all', () => {
    twoLinked(({ host }) => {
      expect((resolve(host, '127.0.0.1') as Way).linkMtu).toBe(65_535)
      expect((resolve(host, '::1') as Way).linkMtu).toBe(65_536)
    })
  })
})

describe('an interface that is down', () => {
  test('its routes are passed over, and ways over it are stale', () => {
    twoLinked(({ host, eth0, eth1 }) => {
      host.routes.add({ prefix: IpPrefix.from('0.0.0.0/0'), gateway: ip('10.0.0.254'), interfaceIndex: eth0.index })
      host.routes.add({
        prefix: IpPrefix.from('0.0.0.0/0'),
        gateway: ip('10.1.0.254'),
        interfaceIndex: eth1.index,
        metric: 9,
      })
      const way = resolve(host, '192.0.2.1') as Way
      expect(short(way)).toBe('10.0.0.1 > 10.0.0.254 dev 2')
      host.interfaces.setUp(eth0, false)
      expect(host.ipv4.isFresh(way)).toBe(false)
      expect(short(resolve(host, '192.0.2.1'))).toBe('10.1.0.1 > 10.1.0.254 dev 3')
      expect(short(resolve(host, '10.0.0.9'))).toBe('10.1.0.1 > 10.1.0.254 dev 3')
      expect(resolve(host, '10.0.0.9', null, eth0.index)).toBe('no-route')
      expect(resolve(host, 'fe80::9', null, eth0.index)).toBe('no-interface')
      host.interfaces.setUp(eth0, true)
      expect(short(resolve(host, '10.0.0.9'))).toBe('10.0.0.1 > 10.0.0.9 dev 2')
    })
  })
})

describe('what stays on a link', () => {
  test('limited broadcast, groups and link-local addresses leave by the interface asked for, else by the first', () => {
    twoLinked(({ host, eth1 }) => {
      for (const to of ['255.255.255.255', '224.0.0.251', '239.1.1.1']) {
        expect(short(resolve(host, to))).toBe(`10.0.0.1 > ${to} dev 2`)
        expect(short(resolve(host, to, null, eth1.index))).toBe(`10.1.0.1 > ${to} dev 3`)
        expect(short(resolve(host, to, '10.1.0.1'))).toBe(`10.1.0.1 > ${to} dev 3`)
      }
      expect(short(resolve(host, 'fe80::9'))).toBe('fe80::ff:fe00:1 > fe80::9 dev 2')
      expect(short(resolve(host, 'fe80::9', null, eth1.index))).toBe('fe80::ff:fe00:2 > fe80::9 dev 3')
      expect(short(resolve(host, 'ff02::fb', null, eth1.index))).toBe('fe80::ff:fe00:2 > ff02::fb dev 3')
      expect(short(resolve(host, 'ff0e::fb', null, eth1.index))).toBe('2001:db8:1::1 > ff0e::fb dev 3')
    })
  })

  test('a link-local address of ours on one link may be a neighbour’s on another (RFC 4007 §6)', () => {
    twoLinked(({ host, eth0, eth1 }) => {
      host.addAddress(eth0, IpPrefix.from('fe80::1/64'), 0)
      expect(short(resolve(host, 'fe80::1', null, eth1.index))).toBe('fe80::ff:fe00:2 > fe80::1 dev 3')
      expect(short(resolve(host, 'fe80::1', null, eth0.index))).toBe('fe80::1 > fe80::1 dev 1')
      expect(short(resolve(host, 'fe80::1'))).toBe('fe80::1 > fe80::1 dev 1')
    })
  })
})

describe('to ourselves', () => {
  test.each([
    ['10.1.0.1', '10.1.0.1'],
    ['2001:db8:1::1', '2001:db8:1::1'],
    ['127.0.0.1', '127.0.0.1'],
    ['127.9.9.9', '127.0.0.1'],
    ['::1', '::1'],
  ])('%s is reached over the loopback device, from %s', (to, source) => {
    twoLinked(({ host }) => {
      expect(short(resolve(host, to))).toBe(`${source} > ${to} dev 1`)
    })
  })

  test('nowhere is nowhere', () => {
    twoLinked(({ host }) => {
      expect(resolve(host, '0.0.0.0')).toBe('no-route')
      expect(resolve(host, '::')).toBe('no-route')
      expect(resolve(host, '192.0.2.1')).toBe('no-route')
    })
  })
})

describe('a route with a source of its own', () => {
  test('packets leave from it while it is ours, unless a socket says otherwise', () => {
    twoLinked(({ host, eth0 }) => {
      const source = IpPrefix.from('10.0.0.77/32')
      const prefix = IpPrefix.from('192.0.2.0/24')
      host.routes.add({ prefix, gateway: ip('10.0.0.254'), interfaceIndex: eth0.index, source: source.address })
      expect(short(resolve(host, '192.0.2.1'))).toBe('10.0.0.1 > 10.0.0.254 dev 2')
      host.addAddress(eth0, source, 0)
      expect(short(resolve(host, '192.0.2.1'))).toBe('10.0.0.77 > 10.0.0.254 dev 2')
      expect(short(resolve(host, '192.0.2.1', '10.0.0.1'))).toBe('10.0.0.1 > 10.0.0.254 dev 2')
      host.removeAddress(eth0, source.address)
      expect(short(resolve(host, '192.0.2.1'))).toBe('10.0.0.1 > 10.0.0.254 dev 2')
    })
  })
})
