// What IPv4 and IPv6 refuse, and why: each packet is right but for one thing.

import { describe, expect, test } from 'vitest'
import { UdpSocket } from '../../src/socket/udp-socket.ts'
import { millis } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { BROADCAST_MAC, multicastMac } from '../../src/wire/ethernet.ts'
import { ICMP4_ECHO, ICMP4_PARAMETER_PROBLEM } from '../../src/wire/icmp4.ts'
import {
  bytesUpTo,
  fragment6Of,
  icmp4,
  icmp6,
  icmpSeen,
  type Packet4,
  packet4,
  packet6,
  udp4,
  udp6,
  udpOf,
} from '../support/packets.ts'
import { barePeer, dropsOf, frameOf, framePeer, inWorld, type Peer } from '../support/peer.ts'
import { joined } from '../wire/frames.ts'
import { naiveChecksum } from '../wire/naive-checksum.ts'

/** Writes bytes over a packet and, unless told not to, mends the IPv4 header checksum. */
function patched(packet: Uint8Array, at: number, values: readonly number[], mend = true): Uint8Array {
  const bytes = packet.slice()
  bytes.set(values, at)
  if (mend && bytes[0]! >>> 4 === 4) {
    bytes.set([0, 0], 10)
    const sum = naiveChecksum(bytes.subarray(0, Math.min((bytes[0]! & 15) * 4, bytes.length)))
    bytes.set([sum >>> 8, sum & 0xff], 10)
  }
  return bytes
}

const echo4 = (fields: Packet4 = {}): Uint8Array => icmp4(fields, ICMP4_ECHO, 0, 0x0001_0001)
const GROUP = '239.1.2.3'

describe('IPv4 header', () => {
  const wrong: [title: string, packet: Uint8Array, drop: string][] = [
    ['a version that is neither', patched(echo4(), 0, [0x55]), 'ipVersion'],
    ['a header of 16 bytes', patched(echo4(), 0, [0x44]), 'ipHeaderLength'],
    [
      'a header longer than the packet',
      patched(packet4({ payload: bytesUpTo(4) }), 0, [0x4f], false),
      'ipHeaderLength',
    ],
    ['a packet shorter than a header', echo4().subarray(0, 19), 'ipHeaderLength'],
    ['a total length below the header', patched(echo4(), 2, [0, 19]), 'ipTotalLength'],
    ['a total length beyond the packet', patched(echo4(), 2, [0, 29]), 'ipTotalLength'],
    ['a wrong checksum', patched(echo4(), 10, [1, 2], false), 'ipChecksum'],
    ['a source of class D', echo4({ source: '224.0.0.5' }), 'martianSource'],
    ['a source of class E', echo4({ source: '240.0.0.1' }), 'martianSource'],
    ['the limited broadcast as source', echo4({ source: '255.255.255.255' }), 'martianSource'],
    ['the directed broadcast as source', echo4({ source: '10.0.0.255' }), 'martianSource'],
    ['a loopback source', echo4({ source: '127.0.0.1' }), 'martianSource'],
    ['a source in 0.0.0.0/8', echo4({ source: '0.1.2.3' }), 'martianSource'],
    ['no source, to one host', echo4({ source: '0.0.0.0' }), 'martianSource'],
    ['our own address as source', echo4({ source: '10.0.0.1' }), 'spoofedSource'],
    ['a destination in 0.0.0.0/8', echo4({ destination: '0.0.0.0' }), 'martianDestination'],
    ['a destination of class E', echo4({ destination: '250.1.1.1' }), 'martianDestination'],
    ['a loopback destination', echo4({ destination: '127.0.0.1' }), 'martianDestination'],
    ['a group that nobody joined', udp4({ destination: GROUP }), 'multicastNotJoined'],
    ['a destination that is not ours', echo4({ destination: '10.0.0.77' }), 'forwardingOff'],
    ['a protocol that nobody speaks', packet4({ protocol: 200 }), 'unknownProtocol'],
    ['a loose source route', echo4({ options: [131, 7, 4, 10, 9, 9, 9, 0] }), 'ipSourceRoute'],
    ['a strict source route', echo4({ options: [1, 137, 7, 4, 10, 9, 9, 9] }), 'ipSourceRoute'],
    ['an option without a length', echo4({ options: [1, 1, 1, 7] }), 'ipOptionMalformed'],
    ['an option of length 1', echo4({ options: [7, 1, 0, 0] }), 'ipOptionMalformed'],
    ['an option beyond the header', echo4({ options: [1, 7, 4, 0] }), 'ipOptionMalformed'],
  ]
  test.each(wrong)('%s is dropped and counted under that reason alone', async (_title, packet, drop) => {
    await inWorld(1, (world) => {
      const peer = barePeer(world)
      expect(dropsOf(peer.host.counters, () => peer.send(packet))).toEqual({ [drop]: 1 })
      expect(peer.host.counters.IpOutRequests).toBe(['ipOptionMalformed', 'unknownProtocol'].includes(drop) ? 1 : 0)
    })
  })

  test('without the one thing that was wrong, the packet is answered', async () => {
    await inWorld(1, (world) => {
      const peer = barePeer(world)
      peer.send(echo4(), echo4({ options: [1, 1, 1, 0] }), echo4({ options: [148, 4, 0, 0] }))
      expect(peer.packets().map(({ payload }) => payload[0])).toEqual([0, 0, 0])
      expect(Object.values(peer.host.counters.drops).some((count) => count > 0)).toBe(false)
    })
  })

  test.each([
    [[1, 1, 1, 7], 23],
    [[7, 1, 0, 0], 20],
    [[1, 68, 40, 5], 21],
  ] as const)(
    'options %j get a parameter problem that points at byte %i (RFC 1122 §3.2.2.5)',
    async (options, pointer) => {
      await inWorld(1, (world) => {
        const peer = barePeer(world)
        const packet = echo4({ options: [...options] })
        peer.send(joined(packet, bytesUpTo(10)))
        const { type, code, rest, quote } = icmpSeen(peer.only())
        expect([type, code, rest >>> 24]).toEqual([ICMP4_PARAMETER_PROBLEM, 0, pointer])
        expect(quote).toEqual(packet)
      })
    },
  )

  test.each(['10.0.0.255', '10.0.0.1', '255.255.255.255', '0.0.0.0', '224.0.0.1', '127.0.0.1', '241.0.0.1'])(
    'a malformed option from %s is answered to nobody',
    async (source) => {
      await inWorld(1, (world) => {
        const peer = barePeer(world)
        peer.send(echo4({ options: [7, 1, 0, 0], source }))
        peer.send(echo4({ options: [7, 1, 0, 0], destination: '10.0.0.255' }))
        peer.send(echo4({ options: [7, 1, 0, 0], destination: '10.0.0.9' }))
        expect(peer.frames()).toEqual([])
        expect(peer.host.counters.IpOutRequests).toBe(0)
      })
    },
  )

  test('what stands behind the total length is link padding and not data', async () => {
    await inWorld(1, (world) => {
      const peer = barePeer(world)
      const socket = new UdpSocket(peer.host, { family: 6, port: 7 })
      const padding = bytesUpTo(18)
      peer.send(joined(udp4({ payload: bytesUpTo(5) }), padding), joined(udp6({ payload: bytesUpTo(6) }), padding))
      expect(socket.tryReceive()?.bytes).toEqual(bytesUpTo(5))
      expect(socket.tryReceive()?.bytes).toEqual(bytesUpTo(6))
    })
  })
})

describe('IPv6 header', () => {
  const echo6 = (fields = {}): Uint8Array => icmp6(fields, 128, 0, 1)
  const wrong: [title: string, packet: Uint8Array, drop: string][] = [
    ['a version that is neither', patched(echo6(), 0, [0x50]), 'ipVersion'],
    ['a packet shorter than a header', echo6().subarray(0, 39), 'ipHeaderLength'],
    ['a payload length beyond the packet', patched(echo6(), 4, [0, 9]), 'ipTotalLength'],
    ['a multicast source', echo6({ source: 'ff02::1' }), 'martianSource'],
    ['the loopback address as source', echo6({ source: '::1' }), 'martianSource'],
    ['an IPv4-mapped source', echo6({ source: '::ffff:10.0.0.2' }), 'martianSource'],
    ['our own address as source', echo6({ source: 'fd00::1' }), 'spoofedSource'],
    ['the loopback address as destination', echo6({ destination: '::1' }), 'martianDestination'],
    ['an IPv4-mapped destination', echo6({ destination: '::ffff:10.0.0.1' }), 'martianDestination'],
    ['no destination', echo6({ destination: '::' }), 'martianDestination'],
    ['a group of scope 1 from outside', echo6({ destination: 'ff01::1' }), 'martianDestination'],
    ['a group that nobody joined', udp6({ destination: 'ff05::5' }), 'multicastNotJoined'],
    ['a destination that is not ours', echo6({ destination: 'fd00::77' }), 'forwardingOff'],
    ['no next header', packet6({ nextHeader: 59, payload: bytesUpTo(8) }), 'unknownProtocol'],
    ['a next header that nobody speaks', packet6({ nextHeader: 200 }), 'unknownProtocol'],
  ]
  test.each(wrong)('%s is dropped and counted under that reason alone', async (_title, packet, drop) => {
    await inWorld(1, (world) => {
      const peer = barePeer(world)
      expect(dropsOf(peer.host.counters, () => peer.send(packet))).toEqual({ [drop]: 1 })
    })
  })

  test('our own address on another interface is as good as any for a forger, and refused (RFC 4291 §2.5.6: not a link-local one)', async () => {
    await inWorld(1, (world) => {
      const peer = barePeer(world, { addresses: ['fd00::1/64'] })
      world.attach(peer.host, world.cable({ medium: 'ip' }).a, { addresses: ['fd00:1::1/64', 'fe80::7/64'] })
      expect(dropsOf(peer.host.counters, () => peer.send(echo6({ source: 'fd00:1::1' })))).toEqual({ spoofedSource: 1 })
      expect(dropsOf(peer.host.counters, () => peer.send(echo6({ source: 'fe80::7' })))).not.toHaveProperty(
        'spoofedSource',
      )
    })
  })

  const extensionWrong: [string, Uint8Array, string, readonly [code: number, pointer: number] | null][] = [
    [
      'a hop-by-hop header behind another',
      options6(60, [0, 0, 1, 4, 0, 0, 0, 0], hop([])),
      'ipExtensionMalformed',
      [1, 40],
    ],
    [
      'a header that ends beyond the packet',
      packet6({ nextHeader: 60, payload: Uint8Array.of(17, 9, 1, 4, 0, 0, 0, 0) }),
      'ipExtensionMalformed',
      null,
    ],
    ['an option that ends beyond its header', options6(60, [17, 0, 1, 9, 0, 0, 0, 0]), 'ipExtensionMalformed', null],
    ['an unknown option of action 01', options6(60, [17, 0, 0x41, 4, 0, 0, 0, 0]), 'ipExtensionUnknown', null],
    ['an unknown option of action 10', options6(60, [17, 0, 1, 0, 0x81, 2, 0, 0]), 'ipExtensionUnknown', [2, 44]],
    ['an unknown option of action 11', options6(60, [17, 0, 0xc1, 4, 0, 0, 0, 0]), 'ipExtensionUnknown', [2, 42]],
    ['a routing header with segments left', options6(43, [17, 0, 0, 1, 0, 0, 0, 0]), 'ipExtensionUnknown', [0, 42]],
    ['nine extension headers', chainOf(9), 'ipExtensionTooMany', null],
    ['an unknown next header behind one', options6(60, [200, 0, 1, 4, 0, 0, 0, 0]), 'unknownProtocol', [1, 40]],
  ]
  test.each(extensionWrong)(
    '%s is dropped, and told where RFC 8200 §4.2 says so',
    async (_t, packet, drop, problem) => {
      await inWorld(1, (world) => {
        const peer = barePeer(world)
        expect(dropsOf(peer.host.counters, () => peer.send(packet))).toEqual({ [drop]: 1 })
        const answers = peer.packets().map(icmpSeen)
        expect(answers.map(({ type, code, rest }) => [type, code, rest])).toEqual(
          problem === null ? [] : [[4, ...problem]],
        )
        for (const { quote } of answers) expect(quote).toEqual(packet)
      })
    },
  )

  test.each([
    ['padding', options6(60, [17, 0, 1, 4, 0, 0, 0, 0])],
    ['an unknown option of action 00', options6(60, [17, 0, 0x1e, 4, 9, 9, 9, 9])],
    ['a router alert', options6(0, [17, 0, 5, 2, 0, 0, 1, 0])],
    ['a routing header with no segments left', options6(43, [17, 0, 0, 0, 0, 0, 0, 0])],
    ['eight extension headers', chainOf(8)],
  ])('%s does no harm', async (_title, packet) => {
    await inWorld(1, (world) => {
      const peer = barePeer(world)
      const socket = new UdpSocket(peer.host, { family: 6, port: 7 })
      peer.send(packet)
      expect(socket.tryReceive()?.bytes).toEqual(bytesUpTo(3))
    })
  })

  test('to a group only option actions 10 are told (RFC 8200 §4.2)', async () => {
    await inWorld(1, (world) => {
      const peer = barePeer(world)
      const to = { destination: 'ff02::1' }
      peer.send(packet6({ ...to, nextHeader: 60, payload: Uint8Array.of(17, 0, 0xc1, 4, 0, 0, 0, 0) }))
      peer.send(packet6({ ...to, nextHeader: 200 }))
      expect(peer.frames()).toEqual([])
      peer.send(packet6({ ...to, nextHeader: 60, payload: Uint8Array.of(17, 0, 0x81, 4, 0, 0, 0, 0) }))
      expect(icmpSeen(peer.only())).toMatchObject({ type: 4, code: 2, rest: 42 })
    })
  })

  test('a hop-by-hop header inside a reassembled packet is in the wrong place, and told once', async () => {
    await inWorld(1, (world) => {
      const peer = barePeer(world)
      const body = joined(Uint8Array.of(17, 0, 1, 4, 0, 0, 0, 0), udpOf(6, { payload: bytesUpTo(40) }))
      const first = fragment6Of({ nextHeader: 0, offset: 0, more: true, part: body.subarray(0, 24) })
      peer.send(first, fragment6Of({ nextHeader: 0, offset: 24, more: false, part: body.subarray(24) }))
      const { type, code, rest, quote } = icmpSeen(peer.only())
      expect([type, code, rest]).toEqual([4, 1, 40])
      expect(quote.subarray(48)).toEqual(body)
      expect(peer.host.counters.drops.ipExtensionMalformed).toBe(1)
    })
  })

  test('destination options inside a reassembled packet are walked as elsewhere', async () => {
    await inWorld(1, (world) => {
      const peer = barePeer(world)
      const socket = new UdpSocket(peer.host, { family: 6, port: 7 })
      const body = joined(Uint8Array.of(17, 0, 1, 4, 0, 0, 0, 0), udpOf(6, { payload: bytesUpTo(40) }))
      peer.send(fragment6Of({ nextHeader: 60, offset: 24, more: false, part: body.subarray(24) }))
      peer.send(fragment6Of({ nextHeader: 60, offset: 0, more: true, part: body.subarray(0, 24) }))
      expect(socket.tryReceive()?.bytes).toEqual(bytesUpTo(40))
    })
  })

  test('fragment headers do not nest, however many there are', async () => {
    await inWorld(1, (world) => {
      const peer = barePeer(world, { cable: { mtu: 65_575 } })
      const header = Uint8Array.of(44, 0, 0, 0, 0, 0, 0, 1)
      const chained = packet6({ nextHeader: 44, payload: joined(...new Array<Uint8Array>(8_000).fill(header)) })
      expect(dropsOf(peer.host.counters, () => peer.send(chained))).toEqual({ fragmentMalformed: 1 })
      expect(peer.frames()).toEqual([])
    })
  })
})

describe('frames and hosts', () => {
  const toHost: [string, Uint8Array, MacOf, string | null][] = [
    ['a unicast packet in a broadcast frame', udp4({}), () => BROADCAST_MAC, 'martianDestination'],
    [
      'a unicast packet in a multicast frame',
      udp4({}),
      () => multicastMac(IpAddress.from(GROUP)),
      'martianDestination',
    ],
    [
      'a unicast IPv6 packet in a multicast frame',
      udp6({}),
      () => multicastMac(IpAddress.from('ff02::1')),
      'martianDestination',
    ],
    ['a broadcast packet in a broadcast frame', udp4({ destination: '10.0.0.255' }), () => BROADCAST_MAC, null],
    [
      'no source in a broadcast frame, as DHCP sends',
      udp4({ source: '0.0.0.0', destination: '255.255.255.255' }),
      () => BROADCAST_MAC,
      null,
    ],
  ]
  test.each(toHost)('%s (RFC 1122 §3.3.6): dropped or delivered', async (_title, packet, mac, drop) => {
    await inWorld(1, (world) => {
      const peer = framePeer(world)
      const socket = new UdpSocket(peer.host, { family: 6, port: 7 })
      const drops = dropsOf(peer.host.counters, () => peer.send(frameOf(peer, packet, mac(peer))))
      expect(drops).toEqual(drop === null ? {} : { [drop]: 1 })
      expect(socket.tryReceive() !== null).toBe(drop === null)
      expect(peer.frames()).toEqual([])
    })
  })

  test('a socket bound to a loopback address reaches nobody outside (RFC 1122 §3.2.1.3 g)', async () => {
    await inWorld(1, (world) => {
      const peer = framePeer(world)
      for (const [address, to] of [
        ['127.0.0.1', '10.0.0.2'],
        ['::1', 'fd00::2'],
      ] as const) {
        const local = IpAddress.from(address)
        const socket = new UdpSocket(peer.host, { family: local.family, address: local })
        expect(() => socket.send(bytesUpTo(3), { address: IpAddress.from(to), port: 9 })).toThrow('EADDRNOTAVAIL')
        socket.close()
      }
      world.runFor(millis(5_000))
      expect(peer.frames()).toEqual([])
    })
  })
})

type MacOf = (peer: Peer) => Peer['on']['mac']

/** A packet whose first extension header is these bytes, with a UDP datagram to port 7 or `rest` behind. */
function options6(nextHeader: number, header: readonly number[], rest?: Uint8Array): Uint8Array {
  const payload = joined(Uint8Array.from(header), rest ?? udpOf(6, { payload: bytesUpTo(3) }))
  return packet6({ nextHeader, payload })
}

function hop(options: readonly number[]): Uint8Array {
  return joined(Uint8Array.of(17, 0, ...options, 1, 4 - options.length, 0, 0, 0, 0), udpOf(6, {}))
}

/** So many destination options headers, and a UDP datagram. */
function chainOf(count: number): Uint8Array {
  const headers = Array.from({ length: count }, (_, index) =>
    Uint8Array.of(index === count - 1 ? 17 : 60, 0, 1, 4, 0, 0, 0, 0),
  )
  return packet6({ nextHeader: 60, payload: joined(...headers, udpOf(6, { payload: bytesUpTo(3) })) })
}
