// Echoes, the errors that are sent and those that are not, and what received errors may do.

import { describe, expect, test } from 'vitest'
import { ECHO_CLIENT_LIMIT } from '../../src/ip/echo-clients.ts'
import type { IcmpError } from '../../src/ip/seams.ts'
import { type EchoFailure, type EchoReply, IcmpSocket } from '../../src/socket/icmp-socket.ts'
import { UdpSocket } from '../../src/socket/udp-socket.ts'
import { micros, millis, seconds } from '../../src/time.ts'
import { IpAddress, IpPrefix } from '../../src/wire/address.ts'
import { BROADCAST_MAC, multicastMac } from '../../src/wire/ethernet.ts'
import {
  bytesUpTo,
  fragment6Of,
  icmp4,
  icmp6,
  icmpSeen,
  packet4,
  packet6,
  udp4,
  udp6,
  udpOf,
} from '../support/packets.ts'
import { barePeer, dropsOf, frameOf, framePeer, inWorld, type Peer } from '../support/peer.ts'

const PEER = { 4: IpAddress.from('10.0.0.2'), 6: IpAddress.from('fd00::2') }

describe('echo', () => {
  test.each([0, 1, 2, 7, 8, 1_471, 1_472])('%i bytes come back as they were, both families', async (length) => {
    await inWorld(1, (world) => {
      const peer = barePeer(world)
      peer.send(icmp4({ ttl: 3 }, 8, 0, 0x1234_5678, bytesUpTo(length)))
      const reply4 = peer.only()
      expect(icmpSeen(reply4)).toEqual({ type: 0, code: 0, rest: 0x1234_5678, quote: bytesUpTo(length) })
      expect(reply4).toMatchObject({ source: '10.0.0.1', destination: '10.0.0.2', hopLimit: 64 })
      peer.send(icmp6({ hopLimit: 3 }, 128, 0, 0x1234_5678, bytesUpTo(Math.min(length, 1_452))))
      expect(icmpSeen(peer.only())).toMatchObject({ type: 129, code: 0, rest: 0x1234_5678 })
    })
  })

  test('an echo whose checksum is all ones or zero after the change is right too (RFC 1624)', async () => {
    await inWorld(1, (world) => {
      const peer = barePeer(world)
      for (let rest = 0xf7f0; rest < 0xf810; rest++) {
        peer.send(icmp4({}, 8, 0, rest))
        // seen() looks at the checksum.
        expect(icmpSeen(peer.only()).rest).toBe(rest)
      }
    })
  })

  test('to groups and broadcast addresses: IPv4 keeps silent (RFC 1122 §3.2.2.6), IPv6 answers with its own address (RFC 4443 §4.2)', async () => {
    await inWorld(2, (world) => {
      const peer = barePeer(world, { addresses: ['10.0.0.1/24', 'fd00::1/64', 'fe80::1/64'] })
      const drops = dropsOf(peer.host.counters, () => {
        peer.send(icmp4({ destination: '224.0.0.1' }, 8, 0, 1), icmp4({ destination: '10.0.0.255' }, 8, 0, 1))
        peer.send(icmp4({ destination: '255.255.255.255' }, 8, 0, 1))
      })
      expect(drops).toEqual({ icmpEchoIgnored: 3 })
      expect(peer.frames()).toEqual([])
      peer.send(icmp6({ destination: 'ff02::1', source: 'fe80::2' }, 128, 0, 1))
      expect(peer.only()).toMatchObject({ source: 'fe80::1', destination: 'fe80::2' })
      peer.send(icmp6({ destination: 'ff02::1' }, 128, 0, 1))
      expect(peer.only()).toMatchObject({ source: 'fd00::1', destination: 'fd00::2' })
      expect(dropsOf(peer.host.counters, () => peer.send(icmp6({ source: '::' }, 128, 0, 1)))).toEqual({
        martianSource: 1,
      })
    })
  })

  test.each([
    ['a wrong checksum', icmp4({}, 8, 0, 1).with(22, 0x55), 'icmpChecksum'],
    ['a message of 7 bytes', packet4({ protocol: 1, payload: bytesUpTo(7) }), 'icmpMalformed'],
    ['a type that nobody knows', icmp4({}, 200, 0, 1), 'icmpUnknownType'],
    ['a timestamp', icmp4({}, 13, 0, 1, bytesUpTo(12)), 'icmpEchoIgnored'],
    ['a reply that nobody asked for', icmp4({}, 0, 0, 1), 'icmpEchoIgnored'],
    ['a wrong ICMPv6 checksum', icmp6({}, 128, 0, 1).with(42, 0x55), 'icmpChecksum'],
    ['an ICMPv6 message of 7 bytes', packet6({ nextHeader: 58, payload: bytesUpTo(7) }), 'icmpMalformed'],
    ['an ICMPv6 type that nobody knows', icmp6({}, 200, 0, 1), 'icmpUnknownType'],
    ['an ICMPv6 reply that nobody asked for', icmp6({}, 129, 0, 1), 'icmpEchoIgnored'],
  ] as const)('%s is dropped in silence', async (_title, packet, drop) => {
    await inWorld(3, (world) => {
      const peer = barePeer(world)
      expect(dropsOf(peer.host.counters, () => peer.send(packet))).toEqual({ [drop]: 1 })
      expect(peer.frames()).toEqual([])
    })
  })

  test('each client gets the replies to its own requests', async () => {
    await inWorld(4, (world) => {
      const peer = barePeer(world)
      const replies: EchoReply[] = []
      const clients = [4, 4, 6].map((family) => new IcmpSocket(peer.host, family as 4 | 6))
      expect(clients[0]!.identifier).not.toBe(clients[1]!.identifier)
      for (const client of clients) client.onEchoReply = (reply) => replies.push(reply)
      for (const client of clients)
        client.sendEcho(PEER[client.family], 9, bytesUpTo(5), { hopLimit: 7, trafficClass: 0x20 })
      const requests = peer.packets()
      expect(requests.map(({ hopLimit }) => hopLimit)).toEqual([7, 7, 7])
      expect(
        requests.map(({ bytes, family }) => (family === 4 ? bytes[1]! : (bytes[0]! & 0xf) * 16 + (bytes[1]! >>> 4))),
      ).toEqual([32, 32, 32])
      const [, second, third] = requests
      peer.send(icmp4({ ttl: 33 }, 0, 0, icmpSeen(second!).rest, bytesUpTo(5)))
      peer.send(icmp6({ hopLimit: 34 }, 129, 0, icmpSeen(third!).rest, bytesUpTo(5)))
      expect(
        replies.map(({ source, sequence, hopLimit, length }) => [String(source), sequence, hopLimit, length]),
      ).toEqual([
        ['10.0.0.2', 9, 33, 5],
        ['fd00::2', 9, 34, 5],
      ])
      clients[1]!.close()
      const again = icmp4({}, 0, 0, icmpSeen(second!).rest)
      expect(dropsOf(peer.host.counters, () => peer.send(again))).toEqual({ icmpEchoIgnored: 1 })
      expect(() => clients[1]!.sendEcho(PEER[4], 1, bytesUpTo(1))).toThrow('EBADF')
    })
  })

  test('a host has so many echo clients and no more: EMFILE, until one is closed', async () => {
    await inWorld(5, (world) => {
      const { host } = barePeer(world)
      const clients = Array.from({ length: ECHO_CLIENT_LIMIT }, () => new IcmpSocket(host, 4))
      expect(new Set(clients.map(({ identifier }) => identifier)).size).toBe(ECHO_CLIENT_LIMIT)
      expect(() => new IcmpSocket(host, 4)).toThrow('EMFILE')
      new IcmpSocket(host, 6)
      clients[5]!.close()
      new IcmpSocket(host, 4)
    })
  })

  test('what cannot be sent is refused with the code that says why', async () => {
    await inWorld(5, (world) => {
      const { host } = barePeer(world)
      const socket = new IcmpSocket(host, 4, 5)
      expect(() => new IcmpSocket(host, 4, 5)).toThrow('EADDRINUSE')
      expect(() => new IcmpSocket(host, 4, 70_000)).toThrow('EINVAL')
      expect(() => socket.sendEcho(PEER[6], 1, bytesUpTo(1))).toThrow('EAFNOSUPPORT')
      expect(() => socket.sendEcho(IpAddress.from('192.0.2.1'), 1, bytesUpTo(1))).toThrow('ENETUNREACH')
      expect(() => socket.sendEcho(PEER[4], 1, bytesUpTo(65_508))).toThrow('EMSGSIZE')
      expect(() => socket.sendEcho(PEER[4], 1, bytesUpTo(1_473), { dontFragment: true })).toThrow('EMSGSIZE')
      socket.sendEcho(PEER[4], 1, bytesUpTo(1_472), { dontFragment: true })
    })
  })
})

describe('errors that are sent', () => {
  test.each([
    ['a port that nobody listens on', udp4({ payload: bytesUpTo(900) }), 3, 3],
    ['a protocol that nobody speaks', packet4({ protocol: 200, payload: bytesUpTo(900) }), 3, 2],
  ])('%s: once, with 576 bytes in all (RFC 1812 §4.3.2.3)', async (_title, packet, type, code) => {
    await inWorld(6, (world) => {
      const peer = barePeer(world)
      peer.send(packet)
      const answer = peer.only()
      expect(icmpSeen(answer)).toMatchObject({ type, code, rest: 0 })
      expect(answer.bytes.length).toBe(576)
      expect(icmpSeen(answer).quote).toEqual(packet.subarray(0, 548))
      expect(answer).toMatchObject({ source: '10.0.0.1', destination: '10.0.0.2' })
    })
  })

  test('in IPv6 with 1,280 bytes in all (RFC 4443 §2.4 c)', async () => {
    await inWorld(6, (world) => {
      const peer = barePeer(world)
      const packet = udp6({ payload: bytesUpTo(1_300) })
      peer.send(packet)
      const answer = peer.only()
      expect(icmpSeen(answer)).toMatchObject({ type: 1, code: 4, rest: 0 })
      expect(icmpSeen(answer).quote).toEqual(packet.subarray(0, 1_232))
    })
  })

  test('a short packet is quoted whole, also one that came in fragments', async () => {
    await inWorld(6, (world) => {
      const peer = barePeer(world)
      peer.send(udp4({ payload: bytesUpTo(3) }))
      expect(icmpSeen(peer.only()).quote).toEqual(udp4({ payload: bytesUpTo(3) }))
      const body = udpOf(4, { payload: bytesUpTo(92) })
      peer.send(
        packet4({ more: true, payload: body.subarray(0, 48) }),
        packet4({ offset: 48, payload: body.subarray(48) }),
      )
      expect(icmpSeen(peer.only()).quote).toEqual(packet4({ payload: body }))
    })
  })

  const never: [string, Uint8Array][] = [
    ['an error', icmp4({ destination: '10.1.0.9' }, 3, 3, 0, udp4({}))],
    [
      'an error, in its first fragment',
      packet4({ destination: '10.1.0.9', protocol: 1, more: true, payload: icmp4({}, 3, 3, 0, udp4({})).subarray(20) }),
    ],
    ['a redirect', icmp4({ destination: '10.1.0.9' }, 5, 0, 0, udp4({}))],
    ['a later fragment', packet4({ destination: '10.1.0.9', offset: 8, payload: bytesUpTo(8) })],
    ['a group', udp4({ destination: '224.0.0.1' })],
    ['the broadcast address', udp4({ destination: '255.255.255.255' })],
    ["the network's broadcast address", udp4({ destination: '10.0.0.255' })],
    ['an IPv6 error', icmp6({ destination: 'fd00:1::9' }, 1, 4, 0, udp6({}))],
    [
      'an IPv6 error in a fragment',
      fragment6Of({ nextHeader: 58, destination: 'fd00:1::9', offset: 0, more: true, part: bytesUpTo(8).with(0, 1) }),
    ],
    ['an IPv6 redirect', icmp6({ destination: 'fd00:1::9' }, 137, 0, 0, bytesUpTo(32))],
    ['a later IPv6 fragment', fragment6Of({ destination: 'fd00:1::9', offset: 8, more: false, part: bytesUpTo(8) })],
    ['an IPv6 group', udp6({ destination: 'ff02::1' })],
    ['a packet from nowhere', udp6({ source: '::' })],
  ]
  test.each(never)('no error is sent about %s (RFC 1122 §3.2.2, RFC 4443 §2.4 e)', async (_title, packet) => {
    await inWorld(7, (world) => {
      const peer = barePeer(world, { stack: { forwarding: true } })
      peer.send(packet)
      expect(peer.frames()).toEqual([])
      expect(peer.host.counters.IpOutRequests + peer.host.counters.Ip6OutRequests).toBe(0)
      // The same destination is told of when the packet is an ordinary one.
      peer.send(udp4({ destination: '10.1.0.9' }), udp6({ destination: 'fd00:1::9' }))
      expect(peer.packets().map((answer) => icmpSeen(answer).type)).toEqual([3, 1])
    })
  })

  test('no error is sent about what came in a broadcast or multicast frame', async () => {
    await inWorld(7, (world) => {
      const peer = framePeer(world)
      peer.send(frameOf(peer, udp4({ destination: '10.0.0.255' }), BROADCAST_MAC))
      peer.send(frameOf(peer, udp6({ destination: 'ff02::1' }), multicastMac(IpAddress.from('ff02::1'))))
      world.runFor(seconds(2))
      expect(peer.frames()).toEqual([])
    })
  })

  test.each([4, 6] as const)('50 errors at once, then 1,000 a second, the rest counted: family %i', async (family) => {
    await inWorld(8, (world) => {
      const peer = barePeer(world)
      const packet = family === 4 ? udp4({}) : udp6({})
      const { counters } = peer.host
      const limited = (): number => counters.IcmpOutRateLimitGlobal + counters.Icmp6OutRateLimitGlobal
      flood(peer, packet, 80)
      expect(peer.packets().length).toBe(50)
      expect(limited()).toBe(30)
      world.runFor(millis(7))
      flood(peer, packet, 20)
      expect(peer.packets().length).toBe(7)
      for (let round = 0; round < 2_000; round++) {
        world.runFor(micros(500))
        flood(peer, packet, 1)
      }
      expect(peer.packets().length).toBe(1_000)
      world.runFor(seconds(100))
      flood(peer, packet, 80)
      expect(peer.packets().length).toBe(50)
      expect(counters.IcmpOutErrors + counters.Icmp6OutErrors).toBe(1_107)
      expect(counters.drops.udpNoPort).toBe(2_180)
    })
  })

  test('echo replies are not limited, and need no token', async () => {
    await inWorld(8, (world) => {
      const peer = barePeer(world)
      flood(peer, udp4({}), 80)
      peer.frames()
      flood(peer, icmp4({}, 8, 0, 1), 200)
      expect(peer.packets().length).toBe(200)
    })
  })
})

/** So many at the same instant. */
function flood(peer: Peer, packet: Uint8Array, count: number): void {
  for (let sent = 0; sent < count; sent++) peer.sendNow(packet)
  peer.host.poll(peer.host.clock.now())
}

describe('errors that are received', () => {
  const ours4 = { source: '10.0.0.1', destination: '10.0.0.2', sourcePort: 5_000, destinationPort: 6_000 }
  const ours6 = { source: 'fd00::1', destination: 'fd00::2', sourcePort: 5_000, destinationPort: 6_000 }

  function listening(peer: Peer, family: 4 | 6): { socket: UdpSocket; heard: [IcmpError, number][] } {
    const socket = new UdpSocket(peer.host, { family, port: 5_000 })
    const heard: [IcmpError, number][] = []
    socket.onIcmpError = (error, port) => heard.push([error, port])
    return { socket, heard }
  }

  test.each([
    [3, 0, 'net-unreachable', 'ENETUNREACH'],
    [3, 1, 'host-unreachable', 'EHOSTUNREACH'],
    [3, 2, 'protocol-unreachable', 'ECONNREFUSED'],
    [3, 3, 'port-unreachable', 'ECONNREFUSED'],
    [3, 5, 'source-route-failed', null],
    [3, 7, 'host-unreachable', 'EHOSTUNREACH'],
    [3, 9, 'admin-prohibited', 'EHOSTUNREACH'],
    [3, 10, 'admin-prohibited', 'EHOSTUNREACH'],
    [3, 13, 'admin-prohibited', 'EHOSTUNREACH'],
    [11, 0, 'hop-limit-exceeded', null],
    [11, 1, 'reassembly-timeout', null],
    [12, 0, 'parameter-problem', 'EPROTO'],
  ] as const)('type %i code %i is %s, and %s to a connected socket', async (type, code, kind, errno) => {
    await inWorld(9, (world) => {
      const peer = barePeer(world)
      const { socket, heard } = listening(peer, 4)
      socket.connect(PEER[4], 6_000)
      peer.send(icmp4({ source: '10.0.0.9' }, type, code, 0, udp4(ours4)))
      expect(heard.length).toBe(1)
      const [error, port] = heard[0]!
      expect(error).toMatchObject({ kind, type, code })
      expect([String(error.reporter), String(error.source), String(error.destination), port]).toEqual([
        '10.0.0.9',
        '10.0.0.1',
        '10.0.0.2',
        6_000,
      ])
      if (errno === null) expect(socket.tryReceive()).toBeNull()
      else expect(() => socket.tryReceive()).toThrow(errno)
      expect(socket.tryReceive()).toBeNull()
    })
  })

  test.each([
    [1, 0, 'net-unreachable'],
    [1, 1, 'admin-prohibited'],
    [1, 3, 'host-unreachable'],
    [1, 4, 'port-unreachable'],
    [1, 5, 'admin-prohibited'],
    [2, 0, 'packet-too-big'],
    [3, 0, 'hop-limit-exceeded'],
    [3, 1, 'reassembly-timeout'],
    [4, 0, 'parameter-problem'],
    [4, 1, 'protocol-unreachable'],
  ] as const)('IPv6 type %i code %i is %s', async (type, code, kind) => {
    await inWorld(9, (world) => {
      const peer = barePeer(world)
      const { heard } = listening(peer, 6)
      peer.send(icmp6({ source: 'fd00::9' }, type, code, 1_300, udp6({ ...ours6, payload: bytesUpTo(600) })))
      expect(heard.map(([error]) => error.kind)).toEqual([kind])
    })
  })

  test('an error about an echo request reaches the client that sent it', async () => {
    await inWorld(10, (world) => {
      const peer = barePeer(world)
      const failures: EchoFailure[] = []
      const socket = new IcmpSocket(peer.host, 6)
      socket.onEchoError = (failure) => failures.push(failure)
      socket.sendEcho(PEER[6], 42, bytesUpTo(100))
      const [request] = peer.packets()
      peer.send(icmp6({ source: 'fd00::9' }, 1, 3, 0, request!.bytes))
      expect(failures.map(({ sequence, error }) => [sequence, error.kind])).toEqual([[42, 'host-unreachable']])
    })
  })

  const quote4 = udp4({ ...ours4, payload: bytesUpTo(1_000) })
  const quote6 = udp6({ ...ours6, payload: bytesUpTo(1_400) })
  const big4 = (quote: Uint8Array): Uint8Array => icmp4({}, 3, 4, 600, quote)
  const big6 = (quote: Uint8Array): Uint8Array => icmp6({}, 2, 0, 1_300, quote)
  const unmatched: [string, Uint8Array, string][] = [
    ['a port that is not open', big4(udp4({ ...ours4, sourcePort: 5_001 })), 'icmpErrorUnmatched'],
    ['a source that is not ours', big4(udp4({ ...ours4, source: '10.0.0.7' })), 'icmpErrorUnmatched'],
    ['a loopback source', big4(udp4({ ...ours4, source: '127.0.0.1' })), 'icmpErrorUnmatched'],
    ['a later fragment', big4(packet4({ ...ours4, offset: 8, payload: bytesUpTo(20) })), 'icmpErrorUnmatched'],
    [
      'a protocol without sockets',
      big4(packet4({ ...ours4, protocol: 200, payload: bytesUpTo(20) })),
      'icmpErrorUnmatched',
    ],
    ['an echo that nobody sent', big4(icmp4(ours4, 8, 0, 1, bytesUpTo(9))), 'icmpErrorUnmatched'],
    ['an error', big4(icmp4(ours4, 3, 3, 0, udp4(ours4))), 'icmpErrorUnmatched'],
    ['an IGMP message', big4(packet4({ ...ours4, protocol: 2, payload: bytesUpTo(8) })), 'icmpErrorUnmatched'],
    ['nothing at all', big4(new Uint8Array(0)), 'icmpMalformed'],
    ['half a header', big4(quote4.subarray(0, 19)), 'icmpMalformed'],
    ['less than 8 bytes of transport', big4(quote4.subarray(0, 27)), 'icmpMalformed'],
    ['a header of 16 bytes', big4(quote4.with(0, 0x44)), 'icmpMalformed'],
    ['an IPv6 packet', big4(quote6), 'icmpMalformed'],
    ['garbage', big4(bytesUpTo(60)), 'icmpMalformed'],
    ['an IPv6 port that is not open', big6(udp6({ ...ours6, sourcePort: 5_001 })), 'icmpErrorUnmatched'],
    ['an IPv6 source that is not ours', big6(udp6({ ...ours6, source: 'fd00::7' })), 'icmpErrorUnmatched'],
    ['the IPv6 loopback address', big6(udp6({ ...ours6, source: '::1' })), 'icmpErrorUnmatched'],
    [
      'a later IPv6 fragment',
      big6(fragment6Of({ ...ours6, offset: 8, more: true, part: bytesUpTo(8) })),
      'icmpErrorUnmatched',
    ],
    ['an IPv6 error', big6(icmp6(ours6, 1, 4, 0, udp6(ours6))), 'icmpErrorUnmatched'],
    ['an IPv6 echo that nobody sent', big6(icmp6(ours6, 128, 0, 1, bytesUpTo(9))), 'icmpErrorUnmatched'],
    ['a large reply that nobody was sent', big6(icmp6(ours6, 129, 0, 1, bytesUpTo(1_400))), 'icmpErrorUnmatched'],
    ['half an IPv6 header', big6(quote6.subarray(0, 39)), 'icmpMalformed'],
    ['7 bytes of IPv6 transport', big6(quote6.subarray(0, 47)), 'icmpErrorUnmatched'],
    ['an IPv4 packet in ICMPv6', big6(quote4), 'icmpMalformed'],
    ['an unknown code of type 4 (source quench)', icmp4({}, 4, 0, 0, quote4), 'icmpUnknownType'],
    ['a redirect', icmp4({}, 5, 1, 0x0a00_0003, quote4), 'icmpUnknownType'],
    ['an unknown ICMPv6 error', icmp6({}, 100, 0, 0, quote6), 'icmpUnknownType'],
  ]
  test.each(unmatched)('a forged error that quotes %s has no effect and is counted', async (_title, packet, drop) => {
    await inWorld(11, (world) => {
      const peer = barePeer(world)
      const heard = [listening(peer, 4).heard, [] as unknown[]]
      const six = new UdpSocket(peer.host, { family: 6, port: 5_000, v6Only: true })
      six.onIcmpError = (error) => heard[1]!.push(error)
      expect(dropsOf(peer.host.counters, () => peer.send(packet))).toEqual({ [drop]: 1 })
      expect(heard).toEqual([[], []])
      expect(peer.host.pathMtu.list()).toEqual([])
      expect(peer.frames()).toEqual([])
      // Quoting what this host may well have sent, the same message is believed.
      peer.send(big4(quote4), big6(quote6))
      expect(heard.map((list) => list.length)).toEqual([1, 1])
      expect(peer.host.pathMtu.list().length).toBe(2)
    })
  })

  test('a connected socket and one bound to an interface believe only errors about their own datagrams', async () => {
    await inWorld(12, (world) => {
      const peer = barePeer(world)
      const connected = new UdpSocket(peer.host, { family: 4, port: 5_000 })
      connected.connect(PEER[4], 6_000)
      new UdpSocket(peer.host, {
        family: 4,
        port: 5_002,
        address: IpAddress.from('10.0.0.1'),
        interfaceIndex: peer.on.index,
      })
      peer.host.addAddress(peer.on, IpPrefix.from('10.0.0.5/24'), 0)
      const drops = dropsOf(peer.host.counters, () => {
        peer.send(icmp4({}, 3, 3, 0, udp4({ ...ours4, destinationPort: 6_001 })))
        peer.send(icmp4({}, 3, 3, 0, udp4({ ...ours4, destination: '10.0.0.3' })))
        peer.send(icmp4({}, 3, 3, 0, udp4({ ...ours4, sourcePort: 5_002, source: '10.0.0.5' })))
      })
      expect(drops).toEqual({ icmpErrorUnmatched: 3 })
      expect(connected.tryReceive()).toBeNull()
      peer.send(icmp4({}, 3, 3, 0, udp4(ours4)), icmp4({}, 3, 3, 0, udp4({ ...ours4, sourcePort: 5_002 })))
      expect(peer.host.counters.drops.icmpErrorUnmatched).toBe(3)
      expect(() => connected.tryReceive()).toThrow('ECONNREFUSED')
    })
  })
})
