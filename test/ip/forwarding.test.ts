// Routers: what they pass on, what they change in it, what they refuse, and what they tell the sender.

import { describe, expect, test } from 'vitest'
import { HEADROOM, Packet, type SegmentKind } from '../../src/buf/packet.ts'
import type { ReversePathFilter } from '../../src/ip/context.ts'
import type { World } from '../../src/sim/world.ts'
import { IcmpSocket } from '../../src/socket/icmp-socket.ts'
import { UdpSocket } from '../../src/socket/udp-socket.ts'
import { millis, seconds } from '../../src/time.ts'
import { IpAddress, IpPrefix } from '../../src/wire/address.ts'
import {
  bytesUpTo,
  firstDifference,
  icmp4,
  icmpSeen,
  packet4,
  pseudoHeader,
  type Seen,
  seen,
  udp4,
  udp6,
  viewOf,
} from '../support/packets.ts'
import { addRoute, attachBare, barePeer, chain, dropsOf, inWorld, type Peer } from '../support/peer.ts'
import { joined, tcp } from '../wire/frames.ts'
import { naiveChecksum } from '../wire/naive-checksum.ts'

/** A router between two bare cables: 10.0.0.0/24 and 10.1.0.0/24, fd00::/64 and fd00:1::/64. */
function router(world: World, filter: ReversePathFilter = 'loose'): { near: Peer; far: Peer } {
  const near = barePeer(world, { stack: { forwarding: true, reversePathFilter: filter } })
  return { near, far: attachBare(world, near.host, ['10.1.0.1/24', 'fd00:1::1/64']) }
}

const FAR4 = { destination: '10.1.0.2' }
const FAR6 = { destination: 'fd00:1::2' }

describe('what is passed on', () => {
  test('every TTL is one less, and every header checksum right, whatever it was (RFC 1624)', async () => {
    await inWorld(1, (world) => {
      const { near, far } = router(world)
      for (let ttl = 2; ttl < 256; ttl++) {
        for (const identification of [0, ttl * 257, 0xffff - ttl]) {
          const packet = packet4({ ...FAR4, ttl, identification, protocol: 200, payload: bytesUpTo(ttl) })
          near.send(packet)
          const passed = far.only()
          const expected = packet.slice()
          expected[8]!--
          expected.set([0, 0], 10)
          const sum = naiveChecksum(expected.subarray(0, 20))
          expected.set([sum >>> 8, sum & 0xff], 10)
          expect(firstDifference(passed.bytes, expected)).toBe(-1)
        }
      }
      near.send(udp6({ ...FAR6, hopLimit: 2, payload: bytesUpTo(77) }))
      expect(firstDifference(far.only().bytes, udp6({ ...FAR6, hopLimit: 1, payload: bytesUpTo(77) }))).toBe(-1)
    })
  })

  test('options and link padding: the first stay, the second goes', async () => {
    await inWorld(1, (world) => {
      const { near, far } = router(world)
      const packet = udp4({ ...FAR4, options: [7, 7, 4, 0, 0, 0, 0, 0], payload: bytesUpTo(5) })
      near.send(joined(packet, bytesUpTo(9)))
      expect(far.only().bytes.subarray(12)).toEqual(packet.subarray(12))
    })
  })

  test('who switches forwarding on becomes a router at once, and off again a host', async () => {
    await inWorld(2, (world) => {
      const near = barePeer(world)
      const far = attachBare(world, near.host, ['10.1.0.1/24', 'fd00:1::1/64'])
      const both = [udp4(FAR4), udp6(FAR6)]
      expect(dropsOf(near.host.counters, () => near.send(...both))).toEqual({ forwardingOff: 2 })
      near.host.forwarding = true
      near.send(...both)
      expect(far.packets().length).toBe(2)
      near.host.forwarding = false
      expect(dropsOf(near.host.counters, () => near.send(...both))).toEqual({ forwardingOff: 2 })
      expect(near.frames()).toEqual([])
    })
  })
})

describe('what is refused', () => {
  const cases: [string, Uint8Array, string, [type: number, code: number] | null][] = [
    ['a TTL of 1', udp4({ ...FAR4, ttl: 1 }), 'hopLimitExceeded', [11, 0]],
    ['a TTL of 0', udp4({ ...FAR4, ttl: 0 }), 'hopLimitExceeded', [11, 0]],
    ['a hop limit of 1', udp6({ ...FAR6, hopLimit: 1 }), 'hopLimitExceeded', [3, 0]],
    ['a hop limit of 0', udp6({ ...FAR6, hopLimit: 0 }), 'hopLimitExceeded', [3, 0]],
    ['a network that nobody knows', udp4({ destination: '192.0.2.1' }), 'noRoute', [3, 0]],
    ['an IPv6 network that nobody knows', udp6({ destination: '2001:db8::1' }), 'noRoute', [1, 0]],
    ['a prohibited network', udp4({ destination: '10.7.0.1' }), 'routePolicy', [3, 13]],
    ['a prohibited IPv6 network', udp6({ destination: 'fd00:7::1' }), 'routePolicy', [1, 1]],
    ['a black hole', udp4({ destination: '10.8.0.1' }), 'routeBlackhole', null],
    ['a black hole of IPv6', udp6({ destination: 'fd00:8::1' }), 'routeBlackhole', null],
    ['a link-local source', udp4({ ...FAR4, source: '169.254.0.9' }), 'forwardLinkScope', null],
    ['a link-local destination', udp4({ destination: '169.254.0.9' }), 'forwardLinkScope', null],
    ['a link-local IPv6 source', udp6({ ...FAR6, source: 'fe80::9' }), 'forwardLinkScope', [1, 2]],
    ['a group', udp4({ destination: '239.9.9.9' }), 'multicastNotJoined', null],
    ['an IPv6 group', udp6({ destination: 'ff0e::9' }), 'multicastNotJoined', null],
    ['a source that the router cannot reach', udp4({ ...FAR4, source: '198.51.100.1' }), 'reversePath', null],
    ['an IPv6 source that it cannot reach', udp6({ ...FAR6, source: '2001:db8::9' }), 'reversePath', null],
    ['a source route', udp4({ ...FAR4, options: [131, 7, 4, 10, 1, 0, 9, 0] }), 'ipSourceRoute', null],
  ]
  test.each(cases)('%s is refused, and told or not', async (_title, packet, drop, error) => {
    await inWorld(3, (world) => {
      const { near, far } = router(world)
      near.host.addAddress(near.on, IpPrefix.from('fe80::1/64'), 0)
      for (const [kind, net] of [
        ['prohibit', 7],
        ['blackhole', 8],
      ] as const) {
        const interfaceIndex = far.on.index
        near.host.routes.add({ prefix: IpPrefix.from(`10.${net}.0.0/16`), interfaceIndex, kind })
        near.host.routes.add({ prefix: IpPrefix.from(`fd00:${net}::/32`), interfaceIndex, kind })
      }
      expect(dropsOf(near.host.counters, () => near.send(packet))).toEqual({ [drop]: 1 })
      expect(far.frames()).toEqual([])
      const told = near.packets().map((answer) => [icmpSeen(answer).type, icmpSeen(answer).code])
      expect(told).toEqual(error === null ? [] : [error])
    })
  })

  test.each([
    ['strict', 1, false],
    ['loose', 1, true],
    ['off', 1, true],
    ['strict', 2, false],
    ['loose', 2, false],
    ['off', 2, true],
  ] as const)('reverse path %s: a source of case %i passes: %s (RFC 3704 §2)', async (filter, which, passes) => {
    await inWorld(4, (world) => {
      const { near, far } = router(world, filter)
      const third = attachBare(world, near.host, ['10.2.0.1/24'])
      // 1: it is behind another interface than it came in by. 2: it is nowhere.
      near.send(udp4({ ...FAR4, source: which === 1 ? '10.2.0.2' : '192.0.2.9' }))
      expect(far.packets().length).toBe(passes ? 1 : 0)
      expect(third.frames()).toEqual([])
      near.send(udp4(FAR4))
      expect(far.packets().length).toBe(1)
    })
  })

  test('strict means the best way back, not any: a default route does not excuse a better one elsewhere', async () => {
    await inWorld(5, (world) => {
      const { near, far } = router(world, 'strict')
      addRoute(near.host, '0.0.0.0/0', '10.0.0.2')
      addRoute(near.host, '10.5.0.0/16', '10.1.0.2')
      expect(dropsOf(near.host.counters, () => near.send(udp4({ ...FAR4, source: '10.5.0.1' })))).toEqual({
        reversePath: 1,
      })
      near.send(udp4({ ...FAR4, source: '192.0.2.1' }))
      expect(far.packets().length).toBe(1)
    })
  })

  test('loose does not count a black hole as a way back', async () => {
    await inWorld(5, (world) => {
      const { near } = router(world)
      near.host.routes.add({ prefix: IpPrefix.from('10.6.0.0/16'), interfaceIndex: near.on.index, kind: 'blackhole' })
      expect(dropsOf(near.host.counters, () => near.send(udp4({ ...FAR4, source: '10.6.0.1' })))).toEqual({
        reversePath: 1,
      })
    })
  })

  test('a host that does not answer is told of once per packet, after it was asked three times', async () => {
    await inWorld(6, (world) => {
      const { first } = chain(world, [1_500, 1_500])
      const socket = new IcmpSocket(first, 4)
      const failures: string[] = []
      socket.onEchoError = ({ error, sequence }) => failures.push(`${error.kind} ${error.reporter} ${sequence}`)
      socket.sendEcho(IpAddress.from('10.0.1.77'), 1, bytesUpTo(9))
      socket.sendEcho(IpAddress.from('10.0.1.77'), 2, bytesUpTo(9))
      world.runFor(seconds(5))
      expect(failures).toEqual(['host-unreachable 10.0.0.2 1', 'host-unreachable 10.0.0.2 2'])
    })
  })
})

describe('traceroute through five routers', () => {
  const MTUS = [1_500, 1_500, 1_500, 1_500, 1_500, 1_500]

  test.each([4, 6] as const)('by echo requests of growing hop limit, family %i', async (family) => {
    await inWorld(7, (world) => {
      const { first } = chain(world, MTUS)
      const socket = new IcmpSocket(first, family)
      const hops: string[] = []
      socket.onEchoError = ({ error, sequence }) => hops.push(`${sequence} ${error.kind} ${error.reporter}`)
      socket.onEchoReply = ({ sequence, source }) => hops.push(`${sequence} reply ${source}`)
      const name = (net: number): string =>
        family === 4 ? `10.0.${net}.2` : net === 0 ? 'fd00::2' : `fd00:0:0:${net}::2`
      for (let hopLimit = 1; hopLimit <= 6; hopLimit++) {
        socket.sendEcho(IpAddress.from(name(5)), hopLimit, bytesUpTo(32), { hopLimit })
        world.runFor(seconds(8))
      }
      expect(hops).toEqual([
        ...[0, 1, 2, 3, 4].map((net) => `${net + 1} hop-limit-exceeded ${name(net)}`),
        `6 reply ${name(5)}`,
      ])
    })
  })

  test.each([4, 6] as const)('by datagrams to ports that nobody listens on, family %i', async (family) => {
    await inWorld(8, (world) => {
      const { first } = chain(world, MTUS)
      const socket = new UdpSocket(first, { family })
      const hops: string[] = []
      socket.onIcmpError = ({ kind, reporter }, port) => hops.push(`${port} ${kind} ${reporter}`)
      const name = (net: number): string =>
        family === 4 ? `10.0.${net}.2` : net === 0 ? 'fd00::2' : `fd00:0:0:${net}::2`
      for (let hopLimit = 1; hopLimit <= 6; hopLimit++) {
        socket.endpoint.hopLimit = hopLimit
        socket.send(bytesUpTo(12), { address: IpAddress.from(name(5)), port: 33_433 + hopLimit })
        world.runFor(seconds(8))
      }
      expect(hops).toEqual([
        ...[0, 1, 2, 3, 4].map((net) => `${33_434 + net} hop-limit-exceeded ${name(net)}`),
        `33439 port-unreachable ${name(5)}`,
      ])
      // A socket that is not connected does not stumble over what others say.
      expect(socket.tryReceive()).toBeNull()
    })
  })
})

describe('super-segments', () => {
  const OFFLOADS = { checksum: true, segmentBytes: 65_536 }

  /** A router whose first device hands it super-segments, and whose second takes none. */
  function offloading(world: World, mtu: number): { near: Peer; far: Peer } {
    const near = barePeer(world, { stack: { forwarding: true }, cable: { offloads: OFFLOADS } })
    return { near, far: attachBare(world, near.host, ['10.1.0.1/24', 'fd00:1::1/64'], { mtu }) }
  }

  /** A TCP or UDP packet with much payload, and its checksum left to whoever cuts it. */
  function superSegment(peer: Peer, kind: SegmentKind, payload: Uint8Array, size: number, dontFragment = true): void {
    const source = IpAddress.from('10.0.0.2')
    const destination = IpAddress.from('10.1.0.2')
    const isUdp = kind === 'udp'
    const segment = isUdp
      ? udp4({ ...FAR4, payload }).subarray(20)
      : tcp({ flags: 0x18, seq: 0xffff_f000, payload }, source, destination)
    const bytes = packet4({ ...FAR4, protocol: isUdp ? 17 : 6, payload: segment, identification: 100, dontFragment })
    const packet = Packet.from(peer.host.pool, bytes, HEADROOM)!
    packet.checksum = 'partial'
    packet.checksumStart = packet.data + 20
    packet.checksumField = packet.checksumStart + (isUdp ? 6 : 16)
    const pseudo = ~naiveChecksum(pseudoHeader(source, destination, isUdp ? 17 : 6, segment.length)) & 0xffff
    packet.page.view.setUint16(packet.checksumField, pseudo)
    packet.segmentBytes = size
    packet.segmentKind = kind
    peer.end.transmit(packet)
  }

  const tcpPayload = ({ payload }: Seen): Uint8Array => payload.subarray((payload[12]! >>> 4) * 4)

  test('forwarded to a device without offload it is cut, and each segment is right', async () => {
    await inWorld(9, (world) => {
      const { near, far } = offloading(world, 1_500)
      const payload = bytesUpTo(20_000)
      superSegment(near, 'tcp4', payload, 1_460)
      world.runFor(millis(1))
      expect(near.frames()).toEqual([])
      const segments = far.packets()
      expect(segments.length).toBe(14)
      segments.forEach((segment, index) => {
        const { bytes, hopLimit, payload: body } = segment
        const view = viewOf(body)
        expect([hopLimit, view.getUint32(4), viewOf(bytes).getUint16(4)]).toEqual([
          63,
          (0xffff_f000 + index * 1_460) >>> 0,
          100 + index,
        ])
        const pseudo = pseudoHeader(IpAddress.from('10.0.0.2'), IpAddress.from('10.1.0.2'), 6, body.length)
        expect(naiveChecksum(joined(pseudo, body))).toBe(0)
        expect(body[13]).toBe(index === 13 ? 0x18 : 0x10)
        expect(firstDifference(tcpPayload(segment), payload.subarray(index * 1_460, (index + 1) * 1_460))).toBe(-1)
      })
    })
  })

  test('a segment that just fits is no reason to complain, one byte more is (RFC 1191 §4)', async () => {
    await inWorld(10, (world) => {
      const { near, far } = offloading(world, 1_500)
      superSegment(near, 'tcp4', bytesUpTo(9_000), 1_461)
      world.runFor(millis(1))
      expect(far.frames()).toEqual([])
      expect(icmpSeen(near.only())).toMatchObject({ type: 3, code: 4, rest: 1_500 })
      superSegment(near, 'tcp4', bytesUpTo(9_000), 1_460)
      world.runFor(millis(1))
      expect(far.packets().length).toBe(7)
    })
  })

  test('a batch of UDP datagrams is cut into datagrams', async () => {
    await inWorld(11, (world) => {
      const { near, far } = offloading(world, 1_500)
      superSegment(near, 'udp', bytesUpTo(5_000), 1_472)
      world.runFor(millis(1))
      const datagrams = far.packets().map(({ payload }) => payload.subarray(8))
      expect(datagrams.map(({ length }) => length)).toEqual([1_472, 1_472, 1_472, 584])
      expect(firstDifference(joined(...datagrams), bytesUpTo(5_000))).toBe(-1)
    })
  })

  test('where segments may be fragmented they are cut first, and each is fragmented by itself', async () => {
    await inWorld(12, (world) => {
      const { near, far } = offloading(world, 1_000)
      superSegment(near, 'tcp4', bytesUpTo(4_000), 1_460, false)
      world.runFor(millis(1))
      const parts = far.packets()
      expect(parts.map(({ bytes }) => viewOf(bytes).getUint16(4))).toEqual([100, 100, 101, 101, 102, 102])
      const whole: Uint8Array[] = []
      for (let index = 0; index < parts.length; index += 2) {
        const segment = joined(parts[index]!.payload, parts[index + 1]!.payload)
        const pseudo = pseudoHeader(IpAddress.from('10.0.0.2'), IpAddress.from('10.1.0.2'), 6, segment.length)
        expect(naiveChecksum(joined(pseudo, segment))).toBe(0)
        whole.push(segment.subarray(20))
      }
      expect(firstDifference(joined(...whole), bytesUpTo(4_000))).toBe(-1)
    })
  })
})

test('an error about a forwarded packet comes from an address of the router', async () => {
  await inWorld(13, (world) => {
    const { near } = router(world)
    near.send(icmp4({ ...FAR4, ttl: 1 }, 8, 0, 1))
    const error = near.only()
    expect([error.source, error.destination]).toEqual(['10.0.0.1', '10.0.0.2'])
    expect(seen(icmpSeen(error).quote).hopLimit).toBe(1)
  })
})
