// UDP: who gets a datagram, which checksums are believed, what is sent, and what is refused.

import { describe, expect, test } from 'vitest'
import { Packet } from '../../src/buf/packet.ts'
import { EPHEMERAL_FIRST, EPHEMERAL_LAST } from '../../src/ephemeral-range.ts'
import { SeededRandom } from '../../src/random.ts'
import { UdpSocket } from '../../src/socket/udp-socket.ts'
import type { Stack } from '../../src/stack.ts'
import { millis, seconds } from '../../src/time.ts'
import type { UdpOptions } from '../../src/udp/endpoint.ts'
import { IpAddress, IpPrefix } from '../../src/wire/address.ts'
import { bytesUpTo, firstDifference, icmpSeen, packet4, udp4, udp6, udpOf, viewOf } from '../support/packets.ts'
import { attachBare, barePeer, chain, dropsOf, inWorld } from '../support/peer.ts'
import { testPool } from '../support/pool.ts'

const ip = (text: string): IpAddress => IpAddress.from(text)
/** How many bytes the next datagram has; null: none waits. */
const next = (socket: UdpSocket): number | null => socket.tryReceive()?.bytes.length ?? null

describe('bind', () => {
  /** Binds both; '' or the code of the second. */
  function second(host: Stack, a: UdpOptions, b: UdpOptions): string {
    const one = new UdpSocket(host, { port: 7, ...a })
    try {
      new UdpSocket(host, { port: 7, ...b }).close()
      return ''
    } catch (error) {
      return (error as { code: string }).code
    } finally {
      one.close()
    }
  }
  const own4 = { family: 4, address: ip('10.0.0.1') } as const
  const own6 = { family: 6, address: ip('fd00::1') } as const

  test.each([
    [{ family: 4 }, { family: 4 }, 'EADDRINUSE'],
    [{ family: 4 }, own4, 'EADDRINUSE'],
    [own4, own4, 'EADDRINUSE'],
    [own4, { family: 4, address: ip('127.0.0.1') }, ''],
    [{ family: 4 }, { family: 6 }, 'EADDRINUSE'],
    [{ family: 6 }, { family: 4 }, 'EADDRINUSE'],
    [{ family: 6 }, own4, 'EADDRINUSE'],
    [{ family: 4 }, { family: 6, v6Only: true }, ''],
    [{ family: 4 }, own6, ''],
    [{ family: 6 }, own6, 'EADDRINUSE'],
    [{ family: 4, reuseAddress: true }, { family: 4, reuseAddress: true }, ''],
    [{ family: 4, reuseAddress: true }, { family: 4 }, 'EADDRINUSE'],
    [{ family: 4 }, { family: 4, reuseAddress: true }, 'EADDRINUSE'],
    [{ family: 4, interfaceIndex: 1 }, { family: 4, interfaceIndex: 2 }, ''],
    [{ family: 4, interfaceIndex: 1 }, { family: 4 }, 'EADDRINUSE'],
  ] as const)('%o, then %o: %s', async (a, b, code) => {
    await inWorld(1, (world) => {
      expect(second(barePeer(world).host, a, b)).toBe(code)
    })
  })

  test.each([
    [{ family: 4, address: ip('10.0.0.9') }, 'EADDRNOTAVAIL'],
    [{ family: 6, address: ip('fd00::9') }, 'EADDRNOTAVAIL'],
    [{ family: 4, address: ip('fd00::1') }, 'EINVAL'],
    [{ family: 6, address: ip('10.0.0.1') }, 'EINVAL'],
    [{ family: 4, port: -1 }, 'EINVAL'],
    [{ family: 4, port: 65_536 }, 'EINVAL'],
    [{ family: 4, port: 1.5 }, 'EINVAL'],
    [{ family: 4, port: Number.NaN }, 'EINVAL'],
  ] as const)('%o is refused: %s', async (options, code) => {
    await inWorld(1, (world) => {
      const { host } = barePeer(world)
      expect(() => new UdpSocket(host, options)).toThrow(code)
      expect(host.udp.list()).toEqual([])
    })
  })

  test('groups, broadcast and loopback addresses can be bound', async () => {
    await inWorld(1, (world) => {
      const { host } = barePeer(world)
      for (const text of ['239.1.1.1', '10.0.0.255', '127.9.8.7', 'ff02::5', '::1']) {
        const address = ip(text)
        new UdpSocket(host, { family: address.family, address, port: 7 })
      }
      expect(host.udp.list().length).toBe(5)
    })
  })

  test('ephemeral ports are random, in their range, and none is given twice until none is left (RFC 6056 §3.3.1)', async () => {
    await inWorld(2, (world) => {
      const { host } = barePeer(world)
      const ports = new Set<number>()
      const sockets: UdpSocket[] = []
      const count = EPHEMERAL_LAST - EPHEMERAL_FIRST + 1
      for (let index = 0; index < count; index++) {
        const socket = new UdpSocket(host, { family: 4 })
        sockets.push(socket)
        ports.add(socket.localPort)
      }
      expect([ports.size, Math.min(...ports), Math.max(...ports)]).toEqual([count, EPHEMERAL_FIRST, EPHEMERAL_LAST])
      const ordered = sockets
        .slice(0, 100)
        .filter((socket, index) => index > 0 && socket.localPort === sockets[index - 1]!.localPort + 1)
      expect(ordered.length).toBeLessThan(5)
      expect(() => new UdpSocket(host, { family: 4 })).toThrow('EADDRINUSE')
      sockets[77]!.close()
      expect(new UdpSocket(host, { family: 4 }).localPort).toBe(sockets[77]!.localPort)
    })
  })
})

test('a host has so many endpoints and no more: EMFILE, until one is closed', async () => {
  await inWorld(2, (world) => {
    const { host } = barePeer(world)
    for (let port = 1; port <= 65_535; port++) host.udp.bind({ family: 4, port })
    const last = host.udp.bind({ family: 6, v6Only: true, port: 1 })
    expect(() => host.udp.bind({ family: 6, v6Only: true, port: 2 })).toThrow('EMFILE')
    host.udp.close(last)
    host.udp.bind({ family: 6, v6Only: true, port: 2 })
  })
})

describe('who gets a datagram', () => {
  test('the connected before the bound, the bound before the wildcard', async () => {
    await inWorld(3, (world) => {
      const peer = barePeer(world, { addresses: ['10.0.0.1/24', '10.0.0.3/24'] })
      const reuse = { family: 4, port: 7, reuseAddress: true } as const
      const wildcard = new UdpSocket(peer.host, reuse)
      const bound = new UdpSocket(peer.host, { ...reuse, address: ip('10.0.0.1') })
      const connected = new UdpSocket(peer.host, { ...reuse, address: ip('10.0.0.1') })
      connected.connect(ip('10.0.0.2'), 4_000)
      peer.send(udp4({ payload: bytesUpTo(1) }), udp4({ sourcePort: 4_001, payload: bytesUpTo(2) }))
      peer.send(
        udp4({ source: '10.0.0.9', payload: bytesUpTo(3) }),
        udp4({ destination: '10.0.0.3', payload: bytesUpTo(4) }),
      )
      expect([next(connected), next(connected)]).toEqual([1, null])
      expect([next(bound), next(bound), next(bound)]).toEqual([2, 3, null])
      expect([next(wildcard), next(wildcard)]).toEqual([4, null])
    })
  })

  test('a connected socket hears its peer only; the others are told that the port is closed', async () => {
    await inWorld(3, (world) => {
      const peer = barePeer(world)
      const socket = new UdpSocket(peer.host, { family: 4, port: 7 })
      socket.connect(ip('10.0.0.2'), 4_000)
      peer.send(udp4({ sourcePort: 4_001 }), udp4({ source: '10.0.0.9' }))
      expect(peer.packets().map((answer) => icmpSeen(answer).code)).toEqual([3, 3])
      socket.disconnect()
      peer.send(udp4({ sourcePort: 4_001, payload: bytesUpTo(5) }))
      expect([next(socket), peer.frames()]).toEqual([5, []])
    })
  })

  test('an IPv6 socket takes IPv4 too, and answers it; with v6Only it does not', async () => {
    await inWorld(4, (world) => {
      const peer = barePeer(world)
      const both = new UdpSocket(peer.host, { family: 6, port: 7 })
      const six = new UdpSocket(peer.host, { family: 6, port: 8, v6Only: true })
      peer.send(udp4({ payload: bytesUpTo(1) }), udp6({ payload: bytesUpTo(2) }))
      peer.send(udp4({ destinationPort: 8 }), udp6({ destinationPort: 8, payload: bytesUpTo(3) }))
      const datagram = both.tryReceive()!
      expect([String(datagram.source), String(datagram.destination), datagram.sourcePort]).toEqual([
        '10.0.0.2',
        '10.0.0.1',
        4_000,
      ])
      expect([next(both), next(both), next(six), next(six)]).toEqual([2, null, 3, null])
      expect(icmpSeen(peer.only())).toMatchObject({ type: 3, code: 3 })
      both.send(bytesUpTo(4), { address: datagram.source, port: datagram.sourcePort })
      expect(peer.only()).toMatchObject({ family: 4, source: '10.0.0.1', destination: '10.0.0.2' })
      expect(() => six.send(bytesUpTo(4), { address: ip('10.0.0.2'), port: 9 })).toThrow('EAFNOSUPPORT')
      const four = new UdpSocket(peer.host, { family: 4 })
      expect(() => four.send(bytesUpTo(4), { address: ip('fd00::2'), port: 9 })).toThrow('EAFNOSUPPORT')
    })
  })

  test('a native IPv4 socket comes before one of IPv6 that would take it', async () => {
    await inWorld(4, (world) => {
      const peer = barePeer(world)
      const six = new UdpSocket(peer.host, { family: 6, port: 7, reuseAddress: true })
      const four = new UdpSocket(peer.host, { family: 4, port: 7, reuseAddress: true })
      peer.send(udp4({ payload: bytesUpTo(1) }), udp6({ payload: bytesUpTo(2) }))
      expect([next(four), next(four), next(six), next(six)]).toEqual([1, null, 2, null])
    })
  })

  test("every socket that fits gets a copy of its own of a group's and a broadcast's datagrams (RFC 1122 §4.1.3.3)", async () => {
    await inWorld(5, (world) => {
      const peer = barePeer(world)
      const reuse = { family: 6, port: 7, reuseAddress: true } as const
      const sockets = [1, 2, 3].map(() => new UdpSocket(peer.host, reuse))
      sockets[0]!.joinGroup(ip('239.1.1.1'), peer.on.index)
      sockets[1]!.joinGroup(ip('ff05::1'), peer.on.index)
      sockets[2]!.connect(ip('10.0.0.2'), 4_000)
      const to = [
        ['10.0.0.255', 1],
        ['255.255.255.255', 2],
        ['239.1.1.1', 3],
      ] as const
      for (const [destination, length] of to) peer.send(udp4({ destination, payload: bytesUpTo(length) }))
      peer.send(udp6({ destination: 'ff05::1', payload: bytesUpTo(4) }))
      const got = sockets.map((socket) => [next(socket), next(socket), next(socket), next(socket), next(socket)])
      expect(got).toEqual([
        [1, 2, 3, 4, null],
        [1, 2, 3, 4, null],
        // Connected, it has an address of its own: what goes to others is not for it, as on Linux.
        [null, null, null, null, null],
      ])
      sockets[0]!.leaveGroup(ip('239.1.1.1'), peer.on.index)
      expect(dropsOf(peer.host.counters, () => peer.send(udp4({ destination: '239.1.1.1' })))).toEqual({
        multicastNotJoined: 1,
      })
      expect(() => sockets[0]!.leaveGroup(ip('239.1.1.1'), peer.on.index)).toThrow('EADDRNOTAVAIL')
      expect(() => sockets[0]!.joinGroup(ip('10.0.0.1'), peer.on.index)).toThrow('EINVAL')
      expect(() => sockets[0]!.joinGroup(ip('239.1.1.1'), 99)).toThrow('ENODEV')
    })
  })

  test('a socket bound to an interface hears that interface only, and sends by it', async () => {
    await inWorld(6, (world) => {
      const peer = barePeer(world)
      const other = attachBare(world, peer.host, ['10.1.0.1/24'])
      const socket = new UdpSocket(peer.host, { family: 4, port: 7, interfaceIndex: other.on.index })
      peer.send(udp4({ payload: bytesUpTo(1) }))
      other.send(udp4({ source: '10.1.0.2', destination: '10.1.0.1', payload: bytesUpTo(2) }))
      const datagram = socket.tryReceive()
      expect([datagram?.bytes.length, datagram?.interfaceIndex, next(socket)]).toEqual([2, other.on.index, null])
      socket.send(bytesUpTo(3), { address: ip('239.1.1.1'), port: 9 })
      expect(other.only().destination).toBe('239.1.1.1')
    })
  })

  test("the interface that one datagram names is that datagram's alone", async () => {
    await inWorld(6, (world) => {
      const peer = barePeer(world)
      const other = attachBare(world, peer.host, ['10.1.0.1/24'])
      const socket = new UdpSocket(peer.host, { family: 4 })
      const to = { address: ip('239.1.1.1'), port: 9 }
      socket.send(bytesUpTo(1), { ...to, interfaceIndex: other.on.index })
      socket.send(bytesUpTo(2), to)
      expect([other.packets().length, peer.packets().length]).toEqual([1, 1])
      socket.endpoint.multicastInterfaceIndex = other.on.index
      socket.send(bytesUpTo(2), to)
      expect([other.packets().length, peer.packets().length]).toEqual([1, 0])
    })
  })
})

describe('checksums and lengths', () => {
  test.each([
    ['IPv4 without a checksum is believed (RFC 768)', udp4({ payload: bytesUpTo(5), checksum: 0 }), null],
    ['IPv6 without a checksum is not (RFC 8200 §8.1)', udp6({ payload: bytesUpTo(5), checksum: 0 }), 'udpNoChecksum'],
    ['a wrong one is not', udp4({ payload: bytesUpTo(5), checksum: 0x1234 }), 'udpChecksum'],
    ['a wrong one over IPv6 is not', udp6({ payload: bytesUpTo(5), checksum: 0x1234 }), 'udpChecksum'],
    ['a length below 8', packet4({ payload: udpOf(4, {}).with(5, 7) }), 'udpLength'],
    ['a length beyond the packet', packet4({ payload: udpOf(4, {}).with(5, 9) }), 'udpLength'],
    ['half a header', packet4({ payload: bytesUpTo(7) }), 'udpLength'],
  ] as const)('%s', async (_title, packet, drop) => {
    await inWorld(7, (world) => {
      const peer = barePeer(world)
      const socket = new UdpSocket(peer.host, { family: 6, port: 7 })
      expect(dropsOf(peer.host.counters, () => peer.send(packet))).toEqual(drop === null ? {} : { [drop]: 1 })
      expect(next(socket)).toBe(drop === null ? 5 : null)
      const { counters } = peer.host
      expect(counters.UdpInErrors + counters.Udp6InErrors).toBe(drop === null ? 0 : 1)
      expect(counters.UdpInCsumErrors + counters.Udp6InCsumErrors).toBe(drop === 'udpChecksum' ? 1 : 0)
      expect(peer.frames()).toEqual([])
    })
  })

  test('a checksum that computes to 0 is sent as all ones, and believed when it comes back (RFC 768)', async () => {
    await inWorld(8, (world) => {
      const peer = barePeer(world)
      const socket = new UdpSocket(peer.host, { family: 6, port: 7 })
      for (const to of ['10.0.0.2', 'fd00::2']) {
        const payload = new Uint8Array(2)
        socket.send(payload, { address: ip(to), port: 9 })
        // What is missing to all ones, put into the payload, makes the sum all ones.
        const missing = viewOf(peer.only().payload).getUint16(6)
        payload.set([missing >>> 8, missing & 0xff])
        socket.send(payload, { address: ip(to), port: 9 })
        const sent = peer.only()
        expect(viewOf(sent.payload).getUint16(6)).toBe(0xffff)
        expect(sent.payload.subarray(8)).toEqual(payload)
      }
    })
  })

  test('bytes behind the UDP length are not payload', async () => {
    await inWorld(8, (world) => {
      const peer = barePeer(world)
      const socket = new UdpSocket(peer.host, { family: 4, port: 7 })
      const datagram = new Uint8Array(40)
      datagram.set(udpOf(4, { payload: bytesUpTo(9) }))
      peer.send(packet4({ payload: datagram }))
      expect(next(socket)).toBe(9)
    })
  })

  test('an empty datagram is a datagram', async () => {
    await inWorld(8, (world) => {
      const { first, last } = chain(world, [1_500])
      const receiver = new UdpSocket(last, { family: 6, port: 7 })
      const sender = new UdpSocket(first, { family: 6 })
      for (const to of ['10.0.0.2', 'fd00::2']) sender.send(new Uint8Array(0), { address: ip(to), port: 7 })
      world.runFor(seconds(3))
      expect([next(receiver), next(receiver), next(receiver)]).toEqual([0, 0, null])
    })
  })
})

describe('what is sent', () => {
  test.each([
    ['65,508 bytes over IPv4', '10.0.0.2', 65_508, 9, 'EMSGSIZE'],
    ['65,528 bytes over IPv6', 'fd00::2', 65_528, 9, 'EMSGSIZE'],
    ['to port 0', '10.0.0.2', 1, 0, 'EINVAL'],
    ['to port 65,536', '10.0.0.2', 1, 65_536, 'EINVAL'],
    ['to port 1.5', '10.0.0.2', 1, 1.5, 'EINVAL'],
    ['to nowhere', '192.0.2.1', 1, 9, 'ENETUNREACH'],
    ['to the unspecified address', '0.0.0.0', 1, 9, 'ENETUNREACH'],
    ['to the broadcast address without permission', '10.0.0.255', 1, 9, 'EACCES'],
    ['to the limited broadcast address without permission', '255.255.255.255', 1, 9, 'EACCES'],
    ['to a prohibited network', '10.7.0.1', 1, 9, 'EACCES'],
  ])('%s is refused', async (_title, to, length, port, code) => {
    await inWorld(9, (world) => {
      const peer = barePeer(world)
      peer.host.routes.add({ prefix: IpPrefix.from('10.7.0.0/16'), interfaceIndex: peer.on.index, kind: 'prohibit' })
      const socket = new UdpSocket(peer.host, { family: 6 })
      expect(() => socket.send(new Uint8Array(length), { address: ip(to), port })).toThrow(code)
      expect(peer.frames()).toEqual([])
    })
  })

  test('with permission broadcasts go out, and sockets of the same host hear them', async () => {
    await inWorld(10, (world) => {
      const host = world.host('a')
      const other = world.host('b')
      const cable = world.cable()
      world.attach(host, cable.a, { addresses: ['10.0.0.1/24'] })
      world.attach(other, cable.b, { addresses: ['10.0.0.2/24'] })
      const listeners = [host, host, other].map((on) => new UdpSocket(on, { family: 4, port: 7, reuseAddress: true }))
      const sender = new UdpSocket(host, { family: 4 })
      sender.endpoint.broadcast = true
      sender.send(bytesUpTo(3), { address: ip('10.0.0.255'), port: 7 })
      sender.send(bytesUpTo(4), { address: ip('255.255.255.255'), port: 7 })
      world.runFor(seconds(1))
      for (const listener of listeners) expect([next(listener), next(listener), next(listener)]).toEqual([3, 4, null])
    })
  })

  test.each([
    ['10.0.0.1', 65_507],
    ['127.0.0.1', 65_507],
    ['127.3.4.5', 1],
    ['fd00::1', 65_507],
    ['::1', 65_527],
  ])('to the host itself, %s with %i bytes: it arrives and nothing is on the wire', async (to, length) => {
    await inWorld(11, (world) => {
      const peer = barePeer(world)
      const receiver = new UdpSocket(peer.host, { family: 6, port: 7 })
      const sender = new UdpSocket(peer.host, { family: 6 })
      sender.send(bytesUpTo(length), { address: ip(to), port: 7 })
      world.runFor(millis(1))
      const datagram = receiver.tryReceive()
      expect(firstDifference(datagram?.bytes, bytesUpTo(length))).toBe(-1)
      expect([String(datagram?.destination), datagram?.sourcePort]).toEqual([to, sender.localPort])
      receiver.send(bytesUpTo(2), { address: datagram!.source, port: datagram!.sourcePort })
      world.runFor(millis(1))
      expect(next(sender)).toBe(2)
      expect(peer.frames()).toEqual([])
    })
  })

  test("hop limit, traffic class and multicast hop limit are as asked, and the stack's default else", async () => {
    await inWorld(12, (world) => {
      const peer = barePeer(world, { stack: { hopLimit: 99 } })
      const socket = new UdpSocket(peer.host, { family: 6 })
      const send = (to: string): number[] => {
        socket.send(bytesUpTo(1), { address: ip(to), port: 9 })
        const { hopLimit, bytes, family } = peer.only()
        return [hopLimit, family === 4 ? bytes[1]! : ((bytes[0]! & 0xf) << 4) | (bytes[1]! >>> 4)]
      }
      expect(['10.0.0.2', 'fd00::2', '239.1.1.1', 'ff05::1'].map(send)).toEqual([
        [99, 0],
        [99, 0],
        [1, 0],
        [1, 0],
      ])
      Object.assign(socket.endpoint, { hopLimit: 5, multicastHopLimit: 6, trafficClass: 0xb8 })
      expect(['10.0.0.2', 'fd00::2', '239.1.1.1', 'ff05::1'].map(send)).toEqual([
        [5, 184],
        [5, 184],
        [6, 184],
        [6, 184],
      ])
    })
  })
})

describe('bounds', () => {
  test('what a socket does not read is dropped beyond its limit, and counted', async () => {
    await inWorld(13, (world, pool) => {
      const peer = barePeer(world)
      const socket = new UdpSocket(peer.host, { family: 6, port: 7, receiveBytes: 20_480 })
      const drops = dropsOf(peer.host.counters, () => {
        for (let count = 0; count < 100; count++)
          peer.send(count % 2 === 0 ? udp4({ payload: bytesUpTo(1) }) : udp6({ payload: bytesUpTo(1) }))
      })
      expect(drops).toEqual({ udpReceiveQueueFull: 90 })
      expect([socket.endpoint.droppedDatagrams, pool.inUse]).toEqual([90, 10])
      const { counters } = peer.host
      expect([
        counters.UdpRcvbufErrors,
        counters.Udp6RcvbufErrors,
        counters.UdpInDatagrams + counters.Udp6InDatagrams,
      ]).toEqual([45, 45, 10])
      expect(peer.frames()).toEqual([])
      next(socket)
      peer.send(udp4({ payload: bytesUpTo(3) }))
      for (let left = 9; left > 0; left--) expect(next(socket)).toBe(1)
      expect([next(socket), pool.inUse]).toEqual([3, 0])
    })
  })

  test('with no page left sending is ENOBUFS, and goes on when there are pages again', async () => {
    const pool = testPool({ limitBytes: 300_000 })
    await inWorld(
      14,
      (world) => {
        const peer = barePeer(world)
        const socket = new UdpSocket(peer.host, { family: 6, port: 7 })
        const to = { address: ip('10.0.0.2'), port: 9 }
        const held: Packet[] = []
        for (let one = Packet.allocate(pool, 100); one !== null; one = Packet.allocate(pool, 100)) held.push(one)
        expect(() => socket.send(bytesUpTo(10), to)).toThrow('ENOBUFS')
        // Enough for the datagram, and not for all of its fragments.
        for (const one of held.splice(0, 50)) one.release()
        expect(() => socket.send(bytesUpTo(60_000), to)).toThrow('ENOBUFS')
        expect(() => socket.send(bytesUpTo(60_000), { ...to, address: ip('fd00::2') })).toThrow('ENOBUFS')
        expect(peer.frames()).toEqual([])
        for (const one of held.splice(0)) one.release()
        expect(pool.inUse).toBe(0)
        socket.send(bytesUpTo(60_000), to)
        expect(peer.packets().length).toBe(41)
        expect(peer.host.counters.UdpSndbufErrors).toBe(1)
      },
      { pool },
    )
  })

  test('datagrams of any size survive any mix of senders (seeded)', async () => {
    await inWorld(15, (world) => {
      const { first, last } = chain(world, [1_500, 900])
      const random = new SeededRandom(15)
      const receiver = new UdpSocket(last, { family: 6, port: 7, receiveBytes: 1 << 24 })
      const sender = new UdpSocket(first, { family: 6 })
      const address = ip('10.0.1.2')
      sender.send(bytesUpTo(1), { address, port: 7 })
      world.runFor(seconds(3))
      next(receiver)
      for (let count = 0; count < 50; count++) {
        const length = random.below(random.below(2) === 0 ? 3_000 : 40_000)
        sender.send(bytesUpTo(length, count), { address, port: 7 })
        world.runFor(millis(10))
        expect(firstDifference(receiver.tryReceive()?.bytes, bytesUpTo(length, count))).toBe(-1)
      }
    })
  })
})
