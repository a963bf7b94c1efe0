// What a user's callback throws, and what a device claims: neither may cost the stack a page or a socket.

import { describe, expect, it } from 'vitest'
import { Packet } from '../../src/buf/packet.ts'
import { checkOffload } from '../../src/link/segmentation.ts'
import { IcmpSocket } from '../../src/socket/icmp-socket.ts'
import { UdpSocket } from '../../src/socket/udp-socket.ts'
import { millis } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { emitIpv4 } from '../../src/wire/ipv4.ts'
import { inWorld } from '../support/peer.ts'
import { testPool } from '../support/pool.ts'

const TEN_1 = IpAddress.from('10.0.0.1')
const TEN_2 = IpAddress.from('10.0.0.2')

describe("a user's callback that throws", () => {
  it('on an echo reply: the error comes out of poll, no page is lost, and the next reply is delivered', () =>
    inWorld(1, (world) => {
      const cable = world.cable()
      const a = world.host('a')
      world.attach(a, cable.a, { addresses: ['10.0.0.1/24'] })
      world.attach(world.host('b'), cable.b, { addresses: ['10.0.0.2/24'] })
      const socket = new IcmpSocket(a, 4)
      let replies = 0
      socket.onEchoReply = () => {
        replies++
        if (replies === 1) throw new Error('mine')
      }
      socket.sendEcho(TEN_2, 1, new Uint8Array(8))
      expect(() => world.runFor(millis(10))).toThrow('mine')
      socket.sendEcho(TEN_2, 2, new Uint8Array(8))
      world.runFor(millis(10))
      expect(replies).toBe(2)
    }))

  it('on a readable socket: the other sockets are woken all the same', () =>
    inWorld(2, async (world) => {
      const host = world.host('a')
      const bad = new UdpSocket(host, { family: 4, port: 1_000 })
      const good = new UdpSocket(host, { family: 4, port: 1_001 })
      bad.endpoint.onReadable = () => {
        throw new Error('mine')
      }
      const received = good.receive()
      const sender = new UdpSocket(host, { family: 4 })
      const to = IpAddress.from('127.0.0.1')
      sender.send(Uint8Array.of(1), { address: to, port: 1_000 })
      sender.send(Uint8Array.of(2), { address: to, port: 1_001 })
      expect(() => world.runFor(millis(1))).toThrow('mine')
      expect((await world.run(received)).bytes).toEqual(Uint8Array.of(2))
      expect(bad.tryReceive()?.bytes).toEqual(Uint8Array.of(1))
      bad.endpoint.onReadable = null
    }))
})

describe('a source that is not ours', () => {
  it.each(['8.8.8.8', 'fd00::1'])('%s is refused as EADDRNOTAVAIL by UDP and echo', (source) =>
    inWorld(3, (world) => {
      const host = world.host('a')
      world.attach(host, world.cable().a, { addresses: ['10.0.0.1/24'] })
      const from = { source: IpAddress.from(source) }
      const udp = new UdpSocket(host, { family: 4 })
      expect(() => udp.send(new Uint8Array(1), { address: TEN_2, port: 9, ...from })).toThrow(/EADDRNOTAVAIL/)
      const echo = new IcmpSocket(host, 4)
      expect(() => echo.sendEcho(TEN_2, 1, new Uint8Array(1), from)).toThrow(/EADDRNOTAVAIL/)
    }),
  )
})

describe('what a device claims of a super-segment', () => {
  const claim = (change: (packet: Packet) => void): ReturnType<typeof checkOffload> => {
    const packet = Packet.allocate(testPool(), 400)!
    const at = packet.put(20 + 20 + 300)
    emitIpv4(packet.page, at, {
      trafficClass: 0,
      totalLength: 340,
      identification: 0,
      flagsAndOffset: 0,
      ttl: 64,
      protocol: 6,
      source: TEN_1,
      destination: TEN_2,
      headerLength: 20,
    })
    packet.page.view.setUint8(at + 20 + 12, 0x50)
    packet.checksum = 'partial'
    packet.checksumStart = at + 20
    packet.checksumField = at + 36
    packet.segmentBytes = 100
    packet.segmentKind = 'tcp4'
    change(packet)
    const drop = checkOffload(packet)
    packet.release()
    return drop
  }

  it('is believed when it can be true', () => {
    expect(claim(() => {})).toBeUndefined()
  })

  it.each<[string, (packet: Packet) => void]>([
    ['a sum that starts in the IP header', (packet) => (packet.checksumStart -= 4)],
    ['a sum beyond the packet', (packet) => (packet.checksumField = packet.tail - 1)],
    ['a field that is neither TCP’s nor UDP’s', (packet) => (packet.checksumField += 2)],
    ['the other family', (packet) => (packet.segmentKind = 'tcp6')],
    ['another protocol', (packet) => packet.page.view.setUint8(packet.data + 9, 17)],
    ['a fragment', (packet) => packet.page.view.setUint16(packet.data + 6, 0x2000)],
    ['a data offset below 5', (packet) => packet.page.view.setUint8(packet.data + 32, 0x40)],
    ['segments of one byte', (packet) => (packet.segmentBytes = 1)],
    [
      'options beyond the end',
      (packet) => {
        packet.trim(44)
        packet.page.view.setUint8(packet.data + 32, 0xf0)
      },
    ],
  ])('is a counted drop with %s', (_what, change) => {
    expect(claim(change)).toBe('offloadMalformed')
  })
})
