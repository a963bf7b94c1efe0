import { describe, expect, test } from 'vitest'
import { NetError } from '../../src/errors.ts'
import { ADDRESS_LIMIT } from '../../src/ip/addresses.ts'
import { IcmpSocket } from '../../src/socket/icmp-socket.ts'
import { seconds } from '../../src/time.ts'
import { IpAddress, IpPrefix } from '../../src/wire/address.ts'
import { arpMessage, mac } from '../support/messages.ts'
import { type Facing, facing, inWorld } from '../support/stranger.ts'

const SEED = 3021
const HOST_MAC = mac(0x11)
const ANYWHERE = { source: null, interfaceIndex: 0 }
const ip = (text: string): IpAddress => IpAddress.from(text)
const net = (text: string): IpPrefix => IpPrefix.from(text)

function hosting(addresses: string[], body: (made: Facing) => void): void {
  inWorld(SEED, (made) => {
    const rig = facing(made, { addresses, mac: HOST_MAC, linkLocal: false })
    rig.stranger.runSeconds(20)
    rig.stranger.take()
    body(rig)
  })
}

/** The prefixes of the routes to the link itself. */
const connected = ({ host, on }: Facing): string[] =>
  host.routes
    .list()
    .filter(({ origin, interfaceIndex }) => origin === 'connected' && interfaceIndex === on.index)
    .map(({ prefix }) => String(prefix))

describe('adding', () => {
  test('an address is added once', () => {
    hosting(['10.0.0.1/24'], ({ host, on }) => {
      expect(() => host.addAddress(on, net('10.0.0.1/24'))).toThrow(NetError)
      expect(() => host.addAddress(on, net('10.0.0.1/8'))).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }))
      expect(on.addresses.length).toBe(1)
    })
  })

  test.each([
    '0.0.0.0/0',
    '255.255.255.255/32',
    '224.0.0.1/4',
    '10.0.0.255/24',
    '::/64',
    'ff02::1/64',
    '::ffff:1.2.3.4/128',
  ])('%s is no address that a host can have', (text) => {
    hosting([], (rig) => {
      expect(() => rig.host.addAddress(rig.on, net(text))).toThrow(NetError)
      expect(rig.on.addresses).toEqual([])
      expect(connected(rig)).toEqual([])
    })
  })

  test('there is room for 256', () => {
    hosting([], ({ host, on }) => {
      for (let n = 0; n < ADDRESS_LIMIT; n++) host.addAddress(on, new IpPrefix(IpAddress.v4(0x0a00_0001 + n), 16))
      expect(() => host.addAddress(on, net('10.9.9.9/16'))).toThrow(NetError)
    })
  })
})

describe('RFC 3021 and its like', () => {
  test.each([
    ['10.0.0.2/31', '10.0.0.3', ['10.0.0.2/31']],
    ['10.0.0.3/31', '10.0.0.2', ['10.0.0.2/31']],
    ['2001:db8::/127', '2001:db8::1', ['2001:db8::/127']],
    ['2001:db8::1/127', '2001:db8::', ['2001:db8::/127']],
  ])('%s reaches %s and knows no broadcast', (own, other, routes) => {
    hosting([own], (rig) => {
      const { host, on } = rig
      expect(connected(rig)).toEqual(routes)
      expect(on.addresses[0]!.broadcast).toBeNull()
      const output = on.addresses[0]!.address.family === 4 ? host.ipv4 : host.ipv6
      expect(output.resolve(ip(other), ANYWHERE)).toMatchObject({ nextHop: ip(other), source: net(own).address })
      expect(on.isBroadcast(ip(other))).toBe(false)
    })
  })

  test.each(['10.0.0.1/32', '2001:db8::1/128'])('%s is alone on its network, and still answered for', (own) => {
    hosting([own], (rig) => {
      expect(connected(rig)).toEqual([])
      expect(rig.host.interfaces.isLocal(net(own).address)).toBe(true)
    })
  })

  test('both addresses of a /31 ping each other', () => {
    inWorld(SEED, ({ world }) => {
      const cable = world.cable()
      const a = world.host('a')
      const b = world.host('b')
      world.attach(a, cable.a, { addresses: ['10.0.0.2/31'] })
      world.attach(b, cable.b, { addresses: ['10.0.0.3/31'] })
      const socket = new IcmpSocket(a, 4)
      const replies: string[] = []
      socket.onEchoReply = ({ source }) => void replies.push(String(source))
      socket.sendEcho(ip('10.0.0.3'), 1, new Uint8Array(8))
      world.runFor(seconds(1))
      expect(replies).toEqual(['10.0.0.3'])
      socket.close()
    })
  })
})

describe('removing', () => {
  test('the connected route goes, unless a twin of the same network stays', () => {
    hosting(['10.0.0.1/24', '10.0.0.2/24'], (rig) => {
      const { host, on } = rig
      const target = ip('10.0.0.9')
      expect(host.ipv4.resolve(target, ANYWHERE)).toMatchObject({ source: ip('10.0.0.1') })
      host.removeAddress(on, ip('10.0.0.1'))
      expect(connected(rig)).toEqual(['10.0.0.0/24'])
      expect(host.ipv4.resolve(target, ANYWHERE)).toMatchObject({ source: ip('10.0.0.2') })
      host.removeAddress(on, ip('10.0.0.2'))
      expect(connected(rig)).toEqual([])
      expect(host.ipv4.resolve(target, ANYWHERE)).toBe('no-route')
    })
  })

  test('another prefix length is another network', () => {
    hosting(['10.0.0.1/24', '10.0.0.2/16'], (rig) => {
      rig.host.removeAddress(rig.on, ip('10.0.0.1'))
      expect(connected(rig)).toEqual(['10.0.0.0/16'])
    })
  })

  test('routes that were made by hand stay', () => {
    hosting(['10.0.0.1/24'], ({ host, on }) => {
      host.routes.add({ prefix: net('10.0.0.0/24'), interfaceIndex: on.index, gateway: ip('10.0.0.7') })
      host.routes.add({ prefix: net('10.0.0.0/24'), interfaceIndex: on.index, metric: 5 })
      host.removeAddress(on, ip('10.0.0.1'))
      expect(host.routes.list().filter(({ origin }) => origin === 'static').length).toBe(2)
    })
  })

  test('while tentative: no more probes, no address, nothing left to do', () => {
    hosting([], ({ host, on, stranger }) => {
      host.addAddress(on, net('10.0.0.1/24'), 3)
      stranger.run(seconds(0.5))
      expect(stranger.take(/who-has 10.0.0.1/).length).toBe(1)
      host.removeAddress(on, ip('10.0.0.1'))
      expect(host.settling).toBe(false)
      stranger.runSeconds(30)
      expect(stranger.take()).toEqual([])
      expect(on.addresses).toEqual([])
    })
  })

  test('and added again: probed from the beginning, by one lease alone', () => {
    hosting([], ({ host, on, stranger }) => {
      host.addAddress(on, net('10.0.0.1/24'), 2)
      stranger.run(seconds(0.5))
      host.removeAddress(on, ip('10.0.0.1'))
      host.addAddress(on, net('10.0.0.1/24'), 2)
      stranger.take()
      stranger.runSeconds(30)
      const heard = stranger.take(/who-has 10.0.0.1/)
      expect(heard.map((text) => /tell (\S+),/.exec(text)![1])).toEqual(['0.0.0.0', '0.0.0.0', '10.0.0.1', '10.0.0.1'])
    })
  })

  test('what is not there cannot be removed', () => {
    hosting(['10.0.0.1/24'], ({ host, on }) => {
      expect(() => host.removeAddress(on, ip('10.0.0.2'))).toThrow(NetError)
    })
  })
})

describe('one address on two interfaces', () => {
  test('it is ours as long as one of them has it, whatever the other thinks of it', () => {
    hosting(['10.0.0.1/24'], ({ host, on, world, stranger }) => {
      const other = world.attach(host, world.cable().a, { linkLocal: false })
      host.addAddress(other, net('10.0.0.1/24'), 5)
      expect(host.interfaces.isLocal(ip('10.0.0.1'))).toBe(true)
      host.removeAddress(on, ip('10.0.0.1'))
      expect(host.interfaces.isLocal(ip('10.0.0.1'))).toBe(false)
      stranger.runSeconds(6)
      expect(host.interfaces.isLocal(ip('10.0.0.1'))).toBe(true)
      host.removeAddress(other, ip('10.0.0.1'))
      expect(host.interfaces.isLocal(ip('10.0.0.1'))).toBe(false)
    })
  })

  test('two interfaces on one network: each answers for its own, and both can be reached', () => {
    inWorld(SEED, ({ world }) => {
      const hub = world.switch()
      const twoLegged = world.host('two-legged')
      world.attach(twoLegged, hub.port(), { addresses: ['10.0.0.1/24'] })
      world.attach(twoLegged, hub.port(), { addresses: ['10.0.0.2/24'] })
      const peer = world.host('peer')
      const on = world.attach(peer, hub.port(), { addresses: ['10.0.0.9/24'] })
      const socket = new IcmpSocket(peer, 4)
      const replies: string[] = []
      socket.onEchoReply = ({ source }) => void replies.push(String(source))
      world.runFor(seconds(10))
      socket.sendEcho(ip('10.0.0.1'), 1, new Uint8Array(8))
      socket.sendEcho(ip('10.0.0.2'), 2, new Uint8Array(8))
      world.runFor(seconds(1))
      expect(replies.sort()).toEqual(['10.0.0.1', '10.0.0.2'])
      const [first, second] = ['10.0.0.1', '10.0.0.2'].map((text) => on.neighbors4!.get(ip(text))!.mac!)
      expect(first!.equals(second!)).toBe(false)
      socket.close()
    })
  })
})

describe('IPv4 hosts of several networks on one link', () => {
  test('speak to a gateway from the network that they share with it', () => {
    hosting(['10.0.0.1/24', '192.168.1.1/24'], ({ host, on }) => {
      host.addGateway(ip('192.168.1.254'), on)
      expect(host.ipv4.resolve(ip('10.9.9.9'), ANYWHERE)).toMatchObject({ source: ip('192.168.1.1') })
    })
  })

  test('and do not choose what is still tentative, or a duplicate', () => {
    hosting(['192.168.1.1/24'], ({ host, on, stranger }) => {
      host.addAddress(on, net('10.0.0.1/24'), 1)
      stranger.settle()
      const source = (): unknown => host.ipv4.resolve(ip('10.0.0.9'), ANYWHERE)
      expect(source()).toMatchObject({ source: ip('192.168.1.1') })
      stranger.tell(arpMessage(ip('10.0.0.1'), ip('10.0.0.1')))
      stranger.runSeconds(5)
      expect(source()).toMatchObject({ source: ip('192.168.1.1') })
    })
  })
})
