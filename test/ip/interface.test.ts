import { describe, expect, test } from 'vitest'
import { Packet } from '../../src/buf/packet.ts'
import { Counters } from '../../src/counters.ts'
import { Interface } from '../../src/ip/interface.ts'
import { UdpSocket } from '../../src/socket/udp-socket.ts'
import type { Micros } from '../../src/time.ts'
import { IpAddress, IpPrefix } from '../../src/wire/address.ts'
import { BROADCAST_MAC, ETHERTYPE_ARP, ETHERTYPE_IPV4, MacAddress, multicastMac } from '../../src/wire/ethernet.ts'
import { arpMessage, frame, mac, STRANGER, udpFrame } from '../support/messages.ts'
import { type Facing, facing, inWorld } from '../support/stranger.ts'

const SEED = 894
const HOST = IpAddress.from('10.0.0.1')
const PEER = IpAddress.from('10.0.0.2')
const HOST_MAC = mac(0x11)

function quiet(body: (made: Facing) => void, vlan = 0): void {
  inWorld(SEED, (made) => {
    const rig = facing(made, { addresses: ['10.0.0.1/24'], mac: HOST_MAC, linkLocal: false, vlan })
    rig.stranger.runSeconds(20)
    rig.stranger.take()
    body(rig)
  })
}

/** The frame with a tag behind its addresses. */
function tagged(bytes: Uint8Array, tag: number): Uint8Array {
  return new Uint8Array([...bytes.slice(0, 12), 0x81, 0, tag >>> 8, tag & 0xff, ...bytes.slice(12)])
}

describe('the MAC filter', () => {
  test.each<[string, MacAddress]>([
    ['another station', mac(0x12)],
    ['the first four bytes of ours', new MacAddress(HOST_MAC.high, HOST_MAC.low + 0x100)],
    ['the last four bytes of ours', new MacAddress(HOST_MAC.high + 0x400, HOST_MAC.low)],
  ])('a frame for %s is not for us', (_who, to) => {
    quiet(({ host, stranger }) => {
      stranger.tell(arpMessage(PEER, HOST, { to }))
      expect(host.counters.drops.notForUs).toBe(1)
      expect(stranger.take()).toEqual([])
    })
  })

  test('our own frame, come back over a loop, is dropped', () => {
    quiet(({ host, stranger }) => {
      for (const to of [BROADCAST_MAC, HOST_MAC]) stranger.tell(arpMessage(PEER, HOST, { from: HOST_MAC, to }))
      expect(host.counters.drops.spoofedSource).toBe(2)
      expect(stranger.take()).toEqual([])
    })
  })

  test.each([0, 1, 6, 12, 13])('a frame of %i bytes is too short', (length) => {
    inWorld(SEED, ({ pool, world }) => {
      const counters = new Counters()
      const device = world.cable().a
      const on = new Interface(1, { name: 'eth0', device }, HOST_MAC, counters)
      on.receive(Packet.from(pool, arpMessage(PEER, HOST).slice(0, length))!, world.now)
      expect(counters.drops.frameTooShort).toBe(1)
    })
  })

  test('a type that nobody wants is counted', () => {
    quiet(({ host, stranger }) => {
      stranger.tell(frame(0x88cc, new Uint8Array(46), STRANGER, HOST_MAC))
      expect(host.counters.drops.unknownEtherType).toBe(1)
    })
  })

  test('linkCast tells how a frame was addressed', () => {
    inWorld(SEED, ({ pool, world }) => {
      const on = new Interface(1, { name: 'eth0', device: world.cable().a }, HOST_MAC, new Counters())
      const seen: string[] = []
      const take = (packet: Packet): void => {
        seen.push(packet.linkCast)
        expect(packet.data).toBe(packet.networkAt)
        expect(packet.interfaceIndex).toBe(1)
        packet.release()
      }
      on.ipv4 = { receive: (_from, packet) => take(packet) }
      for (const to of [HOST_MAC, BROADCAST_MAC, multicastMac(IpAddress.from('224.0.0.1')), mac(5)]) {
        on.receive(Packet.from(pool, frame(ETHERTYPE_IPV4, new Uint8Array(20), STRANGER, to))!, 1 as Micros)
      }
      expect(seen).toEqual(['host', 'broadcast', 'multicast'])
    })
  })

  test('RFC 1122 §3.3.6: a packet for us in a broadcast frame is for nobody', () => {
    quiet(({ host, stranger }) => {
      const socket = new UdpSocket(host, { family: 4, port: 7 })
      const way = { source: PEER, destination: HOST, port: 7 }
      stranger.tell(udpFrame(new Uint8Array(1), { ...way, to: BROADCAST_MAC }))
      expect(socket.tryReceive()).toBeNull()
      expect(host.counters.drops.martianDestination).toBe(1)
      stranger.tell(udpFrame(new Uint8Array(1), { ...way, to: HOST_MAC }))
      expect(socket.tryReceive()).not.toBeNull()
      socket.close()
    })
  })
})

describe('an interface for a VLAN', () => {
  test('takes frames of its tag, whatever their priority, and answers with it', () => {
    quiet(({ stranger }) => {
      stranger.tell(tagged(arpMessage(PEER, HOST), 0xe005))
      const [answer] = stranger.takeHeard()
      expect(answer?.text).toContain('Reply 10.0.0.1 is-at')
      expect([...answer!.bytes.slice(12, 18)]).toEqual([0x81, 0, 0, 5, ETHERTYPE_ARP >> 8, ETHERTYPE_ARP & 0xff])
    }, 5)
  })

  test.each<[string, number, Uint8Array]>([
    ['another VLAN', 5, tagged(arpMessage(PEER, HOST), 6)],
    ['no tag, where there should be one', 5, arpMessage(PEER, HOST)],
    ['a tag, where there should be none', 0, tagged(arpMessage(PEER, HOST), 5)],
    ['a tag in a tag', 5, tagged(tagged(arpMessage(PEER, HOST), 5), 6)],
  ])('%s is refused', (_what, vlan, bytes) => {
    quiet(({ host, stranger }) => {
      stranger.tell(bytes)
      expect(host.counters.drops.vlanMismatch).toBe(1)
      expect(stranger.take()).toEqual([])
    }, vlan)
  })

  test('a tag of priority alone is as good as none (IEEE 802.1Q)', () => {
    quiet(({ stranger }) => {
      stranger.tell(tagged(arpMessage(PEER, HOST), 0xe000))
      expect(stranger.take(/Reply/).length).toBe(1)
    })
  })

  test.each([14, 15, 17])('a tagged frame of %i bytes is too short', (length) => {
    quiet(({ host, stranger }) => {
      stranger.tell(tagged(arpMessage(PEER, HOST), 5).slice(0, length))
      expect(host.counters.drops.frameTooShort).toBe(1)
    }, 5)
  })
})

describe('down and up', () => {
  test('an interface that is down sends and takes nothing, and forgets its neighbours and their packets', () => {
    quiet(({ host, on, stranger, pool }) => {
      const socket = new UdpSocket(host, { family: 4, port: 7 })
      stranger.tell(arpMessage(PEER, HOST))
      socket.send(new Uint8Array(1), { address: IpAddress.from('10.0.0.3'), port: 7 })
      stranger.settle()
      expect(pool.inUse).toBe(1)
      host.interfaces.setUp(on, false)
      expect(pool.inUse).toBe(0)
      expect(on.neighbors4!.list()).toEqual([])
      stranger.take()
      stranger.tell(arpMessage(PEER, HOST))
      expect(host.counters.drops.deviceDown).toBe(1)
      expect(() => socket.send(new Uint8Array(1), { address: PEER, port: 7 })).toThrow(
        expect.objectContaining({ code: 'ENETUNREACH' }),
      )
      expect(stranger.take()).toEqual([])
      host.interfaces.setUp(on, true)
      stranger.tell(arpMessage(PEER, HOST))
      expect(stranger.take().length).toBe(1)
      socket.close()
    })
  })
})

describe('broadcast', () => {
  test('goes to everybody without asking for a neighbour, and to ourselves', () => {
    quiet(({ host, on, stranger }) => {
      host.addAddress(on, IpPrefix.from('10.7.0.1/16'), 0)
      stranger.runSeconds(5)
      stranger.take()
      const socket = new UdpSocket(host, { family: 4, port: 7 })
      socket.endpoint.broadcast = true
      for (const text of ['255.255.255.255', '10.0.0.255', '10.7.255.255']) {
        socket.send(new Uint8Array(1), { address: IpAddress.from(text), port: 7 })
        stranger.settle()
        const heard = stranger.takeHeard()
        expect(heard.length, text).toBe(1)
        expect(MacAddress.read(new DataView(heard[0]!.bytes.buffer), 0)).toEqual(BROADCAST_MAC)
        expect(socket.tryReceive()?.destination).toEqual(IpAddress.from(text))
        expect(socket.tryReceive()).toBeNull()
      }
      socket.close()
    })
  })
})
