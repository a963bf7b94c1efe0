// Cutting datagrams and putting them together again, through whole stacks and against hostile peers.

import { fc, test as property } from '@fast-check/vitest'
import { describe, expect, test } from 'vitest'
import { HEADROOM, Packet } from '../../src/buf/packet.ts'
import { fragment4, fragment6 } from '../../src/ip/fragment.ts'
import { FRAGMENTS_PER_DATAGRAM, REASSEMBLY_BYTES, REASSEMBLY_BYTES_PER_SOURCE } from '../../src/ip/reassembly.ts'
import { SeededRandom } from '../../src/random.ts'
import { IcmpSocket } from '../../src/socket/icmp-socket.ts'
import { UdpSocket } from '../../src/socket/udp-socket.ts'
import type { Stack } from '../../src/stack.ts'
import { millis, seconds } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import {
  bytesUpTo,
  firstDifference,
  fragment6Of,
  icmpOf,
  icmpSeen,
  packet4,
  seen,
  udp4,
  udp6,
  udpOf,
} from '../support/packets.ts'
import { addRoute, attachBare, barePeer, chain, dropsOf, inWorld } from '../support/peer.ts'
import { testPool } from '../support/pool.ts'

/** Cuts a whole IP packet as a router or its source would. */
function cut(bytes: Uint8Array, mtu: number): Uint8Array[] {
  const pool = testPool()
  const packet = Packet.from(pool, bytes, HEADROOM)!
  packet.networkAt = packet.data
  const parts: Uint8Array[] = []
  const emit = (part: Packet): void => {
    parts.push(part.toBytes())
    part.release()
  }
  if (bytes[0]! >>> 4 === 4) fragment4(packet, mtu, pool, emit)
  else fragment6(packet, mtu, 0x0102_0304, pool, emit)
  return parts
}

function shuffled<T>(items: readonly T[], random: SeededRandom): T[] {
  const order = [...items]
  for (let index = order.length - 1; index > 0; index--) {
    const other = random.below(index + 1)
    const kept = order[index]!
    order[index] = order[other]!
    order[other] = kept
  }
  return order
}

/** A UDP datagram to port 7, cut; `mine` numbers it. */
const pieces = (family: 4 | 6, length: number, mtu: number, salt = 0): Uint8Array[] =>
  cut((family === 4 ? udp4 : udp6)({ payload: bytesUpTo(length, salt) }), mtu)

const SIZES = [0, 1, 1_232, 1_233, 1_252, 1_253, 5_001, 65_507]

const pending = (host: Stack): number => host.counters.IpReasmReqds + host.counters.Ip6ReasmReqds

describe('fragments of any size in any order', () => {
  property.prop(
    [
      fc.constantFrom(4 as const, 6 as const),
      fc.oneof(fc.integer({ min: 0, max: 3_000 }), fc.integer({ min: 3_000, max: 65_507 }), fc.constant(65_507)),
      fc.oneof(fc.integer({ min: 68, max: 1_500 }), fc.integer({ min: 1_280, max: 9_000 })),
      fc.integer(),
    ],
    { numRuns: 150 },
  )('become the payload that was sent, each byte of it, whatever is repeated', async (family, length, mtu, seed) => {
    await inWorld(seed, (world) => {
      const peer = barePeer(world, { cable: { mtu: 65_575 } })
      const socket = new UdpSocket(peer.host, { family: 6, port: 7 })
      const random = new SeededRandom(seed)
      const parts = pieces(family, length, family === 4 ? mtu : Math.max(mtu, 1_280))
      const order = shuffled(parts, random)
      // Repetitions anywhere but behind the last: that would be the first of another datagram.
      for (let count = random.below(5); count > 0 && order.length > 1; count--) {
        order.splice(random.below(order.length - 1), 0, order[random.below(order.length - 1)]!)
      }
      peer.send(...order)
      expect(firstDifference(socket.tryReceive()?.bytes, bytesUpTo(length))).toBe(-1)
      world.runFor(seconds(61))
      expect(peer.frames()).toEqual([])
      expect(peer.host.deadline()).toBe(Number.POSITIVE_INFINITY)
      socket.close()
    })
  })

  test.each([4, 6] as const)(
    '65,507 bytes go through a link of MTU 1,500 in family %i, to a neighbour not yet known',
    async (family) => {
      await inWorld(2, (world) => {
        const { first, last } = chain(world, [1_500])
        const receiver = new UdpSocket(last, { family: 6, port: 7 })
        const sender = new UdpSocket(first, { family })
        const address = IpAddress.from(family === 4 ? '10.0.0.2' : 'fd00::2')
        sender.send(bytesUpTo(65_507), { address, port: 7 })
        world.runFor(seconds(3))
        expect(firstDifference(receiver.tryReceive()?.bytes, bytesUpTo(65_507))).toBe(-1)
        const { counters } = first
        expect(family === 4 ? counters.IpFragCreates : counters.Ip6FragCreates).toBe(family === 4 ? 45 : 46)
      })
    },
  )

  test.each([4, 6] as const)(
    'octets are counted in and out with the headers of each fragment, in family %i (RFC 4293 ipIfStatsOutOctets)',
    async (family) => {
      await inWorld(2, (world) => {
        const peer = barePeer(world)
        const socket = new UdpSocket(peer.host, { family, port: 7 })
        const { counters } = peer.host
        const octets = (): number[] =>
          family === 4
            ? [counters.IpExtInOctets, counters.IpExtOutOctets, counters.Ip6InOctets]
            : [counters.Ip6InOctets, counters.Ip6OutOctets, counters.IpExtInOctets]
        const [, before = 0] = octets()
        const lengthOf = (packets: readonly Uint8Array[]): number =>
          packets.reduce((sum, { length }) => sum + length, 0)
        const parts = pieces(family, 5_001, 1_500)
        peer.frames()
        peer.send(...parts)
        const address = IpAddress.from(family === 4 ? '10.0.0.2' : 'fd00::2')
        socket.send(bytesUpTo(65_507), { address, port: 7 })
        world.runFor(millis(1))
        expect(octets()).toEqual([lengthOf(parts), before + lengthOf(peer.frames()), 0])
        socket.close()
      })
    },
  )

  test('an echo of odd size comes back in fragments, both families', async () => {
    await inWorld(3, (world) => {
      const { first } = chain(world, [1_280, 1_400])
      for (const [family, to] of [
        [4, '10.0.1.2'],
        [6, 'fd00:0:0:1::2'],
      ] as const) {
        const lengths: number[] = []
        const socket = new IcmpSocket(first, family)
        socket.onEchoReply = ({ bytes }) => {
          expect(firstDifference(bytes, bytesUpTo(bytes.length))).toBe(-1)
          lengths.push(bytes.length)
        }
        socket.sendEcho(IpAddress.from(to), 0, bytesUpTo(3))
        world.runFor(seconds(3))
        expect(lengths.splice(0)).toEqual([3])
        for (const length of [0, 1, 1_232, 1_233, 1_252, 1_253, 5_001, 65_507])
          socket.sendEcho(IpAddress.from(to), length, bytesUpTo(length))
        world.runFor(seconds(5))
        // Of a reply that did not fit its sender hears, and sends the next one in fragments (RFC 8201 §4).
        if (family === 6) {
          expect(lengths.splice(0).length).toBeGreaterThan(0)
          for (const length of SIZES) socket.sendEcho(IpAddress.from(to), length, bytesUpTo(length))
          world.runFor(seconds(5))
        }
        expect(lengths.toSorted((a, b) => a - b)).toEqual(SIZES)
        socket.close()
      }
    })
  })
})

describe('what does not fit together', () => {
  const body = udpOf(4, { payload: bytesUpTo(72) })
  const piece4 = (offset: number, end: number, more = true, identification = 7): Uint8Array =>
    packet4({ offset, more, identification, payload: body.subarray(offset, end) })

  test('an exact repetition is dropped alone', async () => {
    await inWorld(4, (world) => {
      const peer = barePeer(world)
      const socket = new UdpSocket(peer.host, { family: 4, port: 7 })
      const drops = dropsOf(peer.host.counters, () =>
        peer.send(piece4(0, 40), piece4(0, 40), piece4(40, 80, false).slice()),
      )
      expect(drops).toEqual({ fragmentDuplicate: 1 })
      expect(firstDifference(socket.tryReceive()?.bytes, bytesUpTo(72))).toBe(-1)
    })
  })

  test('of a repeated last fragment only one counts', async () => {
    await inWorld(4, (world) => {
      const peer = barePeer(world)
      const socket = new UdpSocket(peer.host, { family: 4, port: 7 })
      peer.send(piece4(40, 80, false), piece4(40, 80, false), piece4(0, 40))
      expect(firstDifference(socket.tryReceive()?.bytes, bytesUpTo(72))).toBe(-1)
      expect(peer.host.counters.drops.fragmentDuplicate).toBe(1)
    })
  })

  test.each([
    ['one byte range inside another', [piece4(0, 48), piece4(8, 16)]],
    ['the other way round', [piece4(8, 16), piece4(0, 48)]],
    ['half of one', [piece4(0, 48), piece4(40, 64)]],
    ['half of one, from behind', [piece4(40, 64), piece4(0, 48)]],
    ['the same beginning and another end', [piece4(0, 48), piece4(0, 40)]],
    ['two different ends', [piece4(40, 80, false), piece4(48, 72, false)]],
    ['an end before what came', [piece4(40, 64), piece4(8, 24, false)]],
    ['more behind the end', [piece4(8, 40, false), piece4(40, 80)]],
    ['the same bytes, once as the last', [piece4(0, 40), piece4(40, 80), piece4(40, 80, false)]],
  ])(
    '%s is an overlap: the datagram is lost, and what follows of it (RFC 5722, RFC 8200 §4.5)',
    async (_t, packets) => {
      await inWorld(5, (world) => {
        const peer = barePeer(world)
        const socket = new UdpSocket(peer.host, { family: 4, port: 7 })
        peer.send(...packets)
        const overlaps = peer.host.counters.drops.fragmentOverlap
        expect(overlaps).toBe(packets.length)
        peer.send(piece4(0, 40), piece4(40, 80, false))
        expect(peer.host.counters.drops.fragmentOverlap).toBe(overlaps + 2)
        expect(socket.tryReceive()).toBeNull()
        // In silence: nobody is told, and the failure is counted once.
        world.runFor(seconds(31))
        expect(peer.frames()).toEqual([])
        expect(peer.host.counters.IpReasmFails).toBe(1)
        peer.send(piece4(0, 40), piece4(40, 80, false))
        expect(firstDifference(socket.tryReceive()?.bytes, bytesUpTo(72))).toBe(-1)
      })
    },
  )

  test('other identification, protocol, source or destination is another datagram', async () => {
    await inWorld(6, (world) => {
      const peer = barePeer(world, { addresses: ['10.0.0.1/24', '10.0.0.3/24'] })
      const socket = new UdpSocket(peer.host, { family: 4, port: 7 })
      const rest = body.subarray(40)
      peer.send(piece4(0, 40))
      peer.send(packet4({ offset: 40, identification: 8, payload: rest }))
      peer.send(packet4({ offset: 40, protocol: 200, payload: rest }))
      peer.send(packet4({ offset: 40, source: '10.0.0.4', payload: rest }))
      peer.send(packet4({ offset: 40, destination: '10.0.0.3', payload: rest }))
      expect(socket.tryReceive()).toBeNull()
      peer.send(packet4({ offset: 40, payload: rest }))
      expect(firstDifference(socket.tryReceive()?.bytes, bytesUpTo(72))).toBe(-1)
    })
  })

  test.each([
    ['an odd length before the end', packet4({ more: true, payload: bytesUpTo(13) }), 'fragmentMalformed'],
    ['no payload', packet4({ more: true, offset: 8 }), 'fragmentMalformed'],
    ['no payload at the end', packet4({ offset: 8 }), 'fragmentMalformed'],
    ['an end beyond 65,535, the ping of death', packet4({ offset: 65_528, payload: bytesUpTo(8) }), 'fragmentTooLong'],
  ] as const)('%s is dropped (RFC 791)', async (_title, packet, drop) => {
    await inWorld(7, (world) => {
      const peer = barePeer(world)
      expect(dropsOf(peer.host.counters, () => peer.send(packet))).toEqual({ [drop]: 1 })
      expect(peer.host.deadline()).toBe(Number.POSITIVE_INFINITY)
    })
  })

  test('a datagram that is too long only with its header is dropped too', async () => {
    await inWorld(7, (world) => {
      const peer = barePeer(world)
      for (let offset = 0; offset < 65_520; offset += 1_480) {
        const length = Math.min(1_480, 65_520 - offset)
        peer.send(packet4({ offset, more: offset + length < 65_520, payload: bytesUpTo(length) }))
      }
      expect(peer.host.counters.drops.fragmentTooLong).toBe(1)
    })
  })

  test('IPv6 tells of an odd length and of an end beyond 65,535, and where (RFC 8200 §4.5)', async () => {
    await inWorld(8, (world) => {
      const peer = barePeer(world)
      peer.send(fragment6Of({ offset: 0, more: true, part: bytesUpTo(13) }))
      expect(icmpSeen(peer.only())).toMatchObject({ type: 4, code: 0, rest: 4 })
      peer.send(fragment6Of({ offset: 65_528, more: false, part: bytesUpTo(8) }))
      expect(icmpSeen(peer.only())).toMatchObject({ type: 4, code: 0, rest: 42 })
      expect(peer.host.counters.drops).toMatchObject({ fragmentMalformed: 1, fragmentTooLong: 1 })
    })
  })

  test('a first fragment without all headers is dropped and told with code 3 (RFC 8200 §4.5)', async () => {
    await inWorld(8, (world) => {
      const peer = barePeer(world)
      const options = Uint8Array.of(60, 1, 1, 4, 0, 0, 0, 0)
      peer.send(fragment6Of({ nextHeader: 60, offset: 0, more: true, part: options }))
      expect(icmpSeen(peer.only())).toMatchObject({ type: 4, code: 3, rest: 0 })
      peer.send(fragment6Of({ nextHeader: 6, offset: 0, more: true, part: bytesUpTo(16) }))
      expect(icmpSeen(peer.only())).toMatchObject({ type: 4, code: 3, rest: 0 })
      expect(peer.host.counters.drops.fragmentMalformed).toBe(2)
    })
  })

  test('an atomic fragment is whole by itself and touches no datagram (RFC 6946)', async () => {
    await inWorld(9, (world) => {
      const peer = barePeer(world)
      const socket = new UdpSocket(peer.host, { family: 6, port: 7 })
      const whole = udpOf(6, { payload: bytesUpTo(40) })
      peer.send(fragment6Of({ offset: 0, more: true, part: whole.subarray(0, 24) }))
      peer.send(fragment6Of({ offset: 0, more: false, part: udpOf(6, { payload: bytesUpTo(9) }) }))
      expect(firstDifference(socket.tryReceive()?.bytes, bytesUpTo(9))).toBe(-1)
      peer.send(fragment6Of({ offset: 24, more: false, part: whole.subarray(24) }))
      expect(firstDifference(socket.tryReceive()?.bytes, bytesUpTo(40))).toBe(-1)
      expect(peer.host.counters.drops.fragmentOverlap).toBe(0)
    })
  })
})

describe('time and limits', () => {
  test.each([4, 6] as const)(
    'after its time the sender hears of it, if the first fragment came: family %i',
    async (family) => {
      await inWorld(10, (world) => {
        const peer = barePeer(world)
        const timeout = seconds(family === 4 ? 30 : 60)
        const [first, second, third] = pieces(family, 3_000, 1_280)
        peer.send(second!)
        world.runFor(timeout)
        expect(peer.frames()).toEqual([])
        peer.send(second!)
        world.runFor(seconds(10))
        peer.send(first!)
        world.runFor((timeout - seconds(10) - millis(10)) as typeof timeout)
        expect(peer.frames()).toEqual([])
        world.runFor(millis(10))
        const { type, code, quote } = icmpSeen(peer.only())
        expect([type, code]).toEqual([family === 4 ? 11 : 3, 1])
        expect(quote).toEqual(first!.subarray(0, quote.length))
        expect(quote.length).toBe(family === 4 ? 548 : 1_232)
        const { counters } = peer.host
        expect([
          counters.IpReasmTimeout + counters.Ip6ReasmTimeout,
          counters.IpReasmFails + counters.Ip6ReasmFails,
        ]).toEqual([2, 2])
        expect(counters.drops.fragmentTimeout).toBe(3)
        peer.send(third!)
        expect(pending(peer.host)).toBe(4)
      })
    },
  )

  test('a datagram of many fragments whose time runs out is quoted from its beginning', async () => {
    await inWorld(10, (world) => {
      const peer = barePeer(world)
      const parts = pieces(4, 60_000, 1_200)
      peer.send(...parts.slice(0, -1))
      world.runFor(seconds(31))
      const { type, quote } = icmpSeen(peer.only())
      expect(type).toBe(11)
      expect(quote).toEqual(parts[0]!.subarray(0, 548))
    })
  })

  test(`of one datagram ${FRAGMENTS_PER_DATAGRAM} fragments are kept, and they cost one large page`, async () => {
    await inWorld(11, (world, pool) => {
      const peer = barePeer(world)
      const drops = dropsOf(peer.host.counters, () => {
        for (let index = 0; index < FRAGMENTS_PER_DATAGRAM; index++) {
          peer.send(packet4({ offset: 16 * index, more: true, payload: bytesUpTo(8) }))
        }
      })
      expect(drops).toEqual({})
      expect(pool.inUse).toBe(1)
      peer.send(packet4({ offset: 16 * FRAGMENTS_PER_DATAGRAM, more: true, payload: bytesUpTo(8) }))
      expect(pool.inUse).toBe(0)
      expect(peer.host.counters.drops.fragmentTooMany).toBe(FRAGMENTS_PER_DATAGRAM + 1)
    })
  })

  test('a source that never finishes loses its oldest datagrams and can go on sending', async () => {
    await inWorld(12, (world, pool) => {
      const peer = barePeer(world)
      const socket = new UdpSocket(peer.host, { family: 4, port: 7 })
      for (let identification = 100; identification < 600; identification++) {
        for (let offset = 0; offset < 48_000; offset += 1_480) {
          peer.send(packet4({ identification, offset, more: true, payload: bytesUpTo(1_480) }))
        }
        expect(pool.inUseBytes).toBeLessThanOrEqual(REASSEMBLY_BYTES_PER_SOURCE)
      }
      peer.send(...pieces(4, 65_507, 1_500))
      expect(firstDifference(socket.tryReceive()?.bytes, bytesUpTo(65_507))).toBe(-1)
      expect(peer.host.counters.drops.fragmentLimitSource).toBeGreaterThan(10_000)
    })
  })

  test('first fragments from forged sources fill no memory, and a datagram of another source gets through', async () => {
    await inWorld(13, (world, pool) => {
      const peer = barePeer(world)
      const socket = new UdpSocket(peer.host, { family: 6, port: 7 })
      const honest4 = pieces(4, 20_000, 1_500)
      const honest6 = pieces(6, 20_000, 1_500)
      let forged = 0
      const flood = (): void => {
        for (let count = 0; count < 50; count++, forged++) {
          const source = `10.${1 + (forged >>> 16)}.${(forged >>> 8) & 0xff}.${forged & 0xff}`
          peer.send(packet4({ source, more: true, payload: bytesUpTo(1_400) }))
        }
      }
      for (let round = 0; round < 100; round++) flood()
      for (const part of [...honest4, ...honest6]) {
        flood()
        peer.send(part)
      }
      expect(firstDifference(socket.tryReceive()?.bytes, bytesUpTo(20_000))).toBe(-1)
      expect(firstDifference(socket.tryReceive()?.bytes, bytesUpTo(20_000))).toBe(-1)
      expect(pool.inUseBytes).toBeLessThanOrEqual(REASSEMBLY_BYTES)
      expect(peer.host.counters.drops.fragmentLimitHost).toBeGreaterThan(1_000)
      world.runFor(seconds(61))
      expect(pool.inUse).toBe(0)
    })
  })

  test('with no page left a fragment is a counted drop, and later ones get through', async () => {
    const pool = testPool({ limitBytes: 200_000 })
    await inWorld(
      14,
      (world) => {
        const peer = barePeer(world)
        const socket = new UdpSocket(peer.host, { family: 4, port: 7 })
        const held: Packet[] = []
        const parts = pieces(4, 65_507, 1_500)
        peer.send(...parts.slice(0, 30))
        for (let one = Packet.allocate(pool, 100); one !== null; one = Packet.allocate(pool, 100)) held.push(one)
        for (const one of held.splice(0, 20)) one.release()
        peer.send(...parts.slice(30))
        expect(socket.tryReceive()).toBeNull()
        expect(peer.host.counters.drops.noBuffer).toBeGreaterThan(0)
        for (const one of held) one.release()
        world.runFor(seconds(31))
        peer.send(...parts)
        expect(firstDifference(socket.tryReceive()?.bytes, bytesUpTo(65_507))).toBe(-1)
      },
      { pool },
    )
  })
})

describe('routers that fragment', () => {
  test('a router cuts what does not fit, also fragments, and the parts are right (RFC 791 §3.2)', async () => {
    await inWorld(15, (world) => {
      const peer = barePeer(world, { stack: { forwarding: true }, cable: { mtu: 3_000 } })
      const far = attachBare(world, peer.host, ['10.1.0.1/24'], { mtu: 576 })
      const whole = udp4({ destination: '10.1.0.2', payload: bytesUpTo(2_500) })
      const parts = cut(whole, 1_003)
      peer.send(...parts)
      const again = far.packets()
      for (const { bytes, hopLimit } of again) {
        expect(bytes.length).toBeLessThanOrEqual(576)
        expect(hopLimit).toBe(63)
      }
      const rebuilt = new Uint8Array(whole.length - 20)
      for (const { bytes, payload } of again) rebuilt.set(payload, ((bytes[6]! & 0x1f) * 256 + bytes[7]!) * 8)
      expect(rebuilt).toEqual(whole.subarray(20))
      expect(again.filter(({ bytes }) => (bytes[6]! & 0x20) === 0).length).toBe(1)
      const { counters } = peer.host
      expect([counters.IpFragOKs, counters.IpFragCreates]).toEqual([2, again.length - 1])
    })
  })

  test('options that are not to be copied are no-operations in all fragments but the first (RFC 791 §3.1)', async () => {
    await inWorld(16, (world) => {
      const peer = barePeer(world, { stack: { forwarding: true } })
      const far = attachBare(world, peer.host, ['10.1.0.1/24'], { mtu: 100 })
      const options = [7, 7, 4, 1, 2, 3, 4, 148, 4, 0, 0, 0]
      peer.send(packet4({ destination: '10.1.0.2', options, payload: bytesUpTo(200) }))
      const seenOptions = far.packets().map(({ bytes }) => [...bytes.subarray(20, 32)])
      expect(seenOptions[0]).toEqual(options)
      expect(seenOptions.length).toBeGreaterThan(2)
      for (const later of seenOptions.slice(1)) expect(later).toEqual([1, 1, 1, 1, 1, 1, 1, 148, 4, 0, 0, 0])
    })
  })

  test('an echo request with options in fragments is answered', async () => {
    await inWorld(16, (world) => {
      const peer = barePeer(world)
      const message = icmpOf(8, 0, 0x0001_0001, bytesUpTo(2_000))
      peer.send(...cut(packet4({ protocol: 1, options: [7, 7, 4, 1, 2, 3, 4, 0], payload: message }), 296))
      const answers = peer.packets()
      expect(answers.reduce((sum, { payload }) => sum + payload.length, 0)).toBe(2_008)
    })
  })

  test('DF is respected: nothing passes, and the source learns the MTU (RFC 1191 §4)', async () => {
    await inWorld(17, (world) => {
      const peer = barePeer(world, { stack: { forwarding: true } })
      const far = attachBare(world, peer.host, ['10.1.0.1/24'], { mtu: 576 })
      peer.send(udp4({ destination: '10.1.0.2', dontFragment: true, payload: bytesUpTo(549) }))
      expect(far.frames()).toEqual([])
      expect(icmpSeen(peer.only())).toMatchObject({ type: 3, code: 4, rest: 576 })
      peer.send(udp4({ destination: '10.1.0.2', dontFragment: true, payload: bytesUpTo(548) }))
      expect(far.only().bytes.length).toBe(576)
    })
  })

  test('an IPv6 router never cuts: packet too big, also to a fragment (RFC 8200 §5)', async () => {
    await inWorld(18, (world) => {
      const peer = barePeer(world, { stack: { forwarding: true } })
      const far = attachBare(world, peer.host, ['fd00:1::1/64'], { mtu: 1_280 })
      peer.send(...cut(udp6({ destination: 'fd00:1::2', payload: bytesUpTo(2_500) }), 1_500))
      expect(icmpSeen(peer.packets()[0]!)).toMatchObject({ type: 2, code: 0, rest: 1_280 })
      expect(far.packets().length).toBe(1)
    })
  })

  test('an interface with an MTU below that of IPv4 cannot be', async () => {
    await inWorld(19, (world) => {
      const host = world.host('a')
      expect(() => world.attach(host, world.cable({ mtu: 67 }).a)).toThrow('mtu is 67')
      addRoute(host, '10.9.0.0/24', '127.0.0.1')
      expect(seen(packet4({ protocol: 200 })).protocol).toBe(200)
    })
  })
})
