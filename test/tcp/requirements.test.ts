// Requirements of RFC 9293 that no packet script can put: whole packets, batches, addresses, several opens of one port.
// docs/rfc.md lists them all, with the scripts.

import { describe, expect, test } from 'vitest'
import type { Connection } from '../../src/tcp/connection.ts'
import { connect, listen } from '../../src/tcp/open.ts'
import { millis } from '../../src/time.ts'
import { IpAddress, IpPrefix } from '../../src/wire/address.ts'
import { IPV4_HEADER } from '../../src/wire/ipv4.ts'
import { seqAdd } from '../../src/wire/sequence.ts'
import { ACK, SYN } from '../../src/wire/tcp.ts'
import { seen } from '../support/packets.ts'
import { dropsOf, inWorld } from '../support/peer.ts'
import { HOST_PORT, PEER_ISS, PEER_PORT, TcpPeer } from '../support/tcp-peer.ts'

const withPeer = (body: (peer: TcpPeer) => void): Promise<void> =>
  inWorld(9, (world, pool) => body(new TcpPeer(world, pool)))

const DATA_OFFSET_AT = IPV4_HEADER + 12

/** An active open of the host towards the peer. */
function open(peer: TcpPeer, wanted: { remote?: string; localAddress?: string; localPort?: number } = {}): Connection {
  const { remote = '10.0.0.2', localAddress, localPort = 5_000 } = wanted
  const from = localAddress === undefined ? {} : { localAddress: IpAddress.from(localAddress) }
  const options = { remoteAddress: IpAddress.from(remote), remotePort: PEER_PORT, localPort, ...from }
  return connect(peer.host.tcp, options, peer.world.now)
}

function write(peer: TcpPeer, connection: Connection, length: number): void {
  connection.sendQueue.append(new Uint8Array(length), 0, length)
  peer.host.tcp.owe(connection)
}

describe('checksums (RFC 9293 §3.1)', () => {
  test('data and RST leave with the right one (MUST-2)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      write(peer, connection, 301)
      peer.world.runFor(millis(1))
      peer.host.tcp.abort(connection, peer.world.now)
      peer.world.runFor(millis(1))
      const [data, reset] = peer.peer.frames()
      for (const packet of [data!, reset!]) {
        expect(() => seen(packet)).not.toThrow()
        packet[packet.length - 1]! ^= 1
        expect(() => seen(packet)).toThrow('TCP checksum')
      }
    }))

  test('a segment with one wrong bit is dropped and counted (MUST-3)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      const before = connection.rcv.nxt
      const packet = peer.packet({ flags: ACK, data: new Uint8Array(20) })
      for (let bit = IPV4_HEADER * 8; bit < packet.length * 8; bit += 7) {
        // A wrong data offset is noticed before anything is summed.
        if (bit >> 3 === DATA_OFFSET_AT) continue
        const wrong = packet.slice()
        wrong[bit >> 3]! ^= 0x80 >> (bit & 7)
        expect(dropsOf(peer.host.counters, () => peer.peer.send(wrong))).toEqual({ tcpChecksum: 1 })
      }
      expect(connection.rcv.nxt).toBe(before)
    }))
})

describe('acknowledgments', () => {
  test('of segments that arrive together one ACK tells (RFC 9293 §3.10.7.4, MUST-58, MUST-59)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      const data = new Uint8Array(1_000)
      const [first, second, third] = [0, 1_000, 2_000].map((at) =>
        peer.packet({ flags: ACK, seq: seqAdd(peer.nxt, at), data }),
      )
      for (const packet of [first!, third!, second!]) peer.peer.sendNow(packet)
      peer.world.runFor(millis(1))
      const heard = peer.heard()
      expect(heard.map(({ text, ack }) => [text, ack])).toEqual([['.', seqAdd(peer.nxt, 3_000)]])
      expect(connection.receiveQueue.available).toBe(3_000)
    }))
})

test('the right edge of the window stays, although there is less memory than was promised (RFC 9293 §3.8.6, SHLD-14)', () =>
  withPeer((peer) => {
    const connection = peer.establish()
    const { edge } = connection.rcv
    connection.receiveLimit = 2_000
    const [answer] = peer.say({ flags: ACK, data: new Uint8Array(1_000) })
    expect(seqAdd(answer!.ack, answer!.window)).toBe(edge)
  }))

describe('opens (RFC 9293 §3.9.1.1)', () => {
  test('a second passive open is refused, and changes neither the first nor its connections (MUST-41)', () =>
    withPeer((peer) => {
      const listener = peer.listen()
      const connection = peer.establish(undefined, listener)
      expect(() => peer.listen()).toThrow('EADDRINUSE')
      expect(connection.state).toBe('ESTABLISHED')
      peer.say({ flags: ACK, data: new Uint8Array(10) })
      expect(connection.receiveQueue.available).toBe(10)
      peer.say({ flags: SYN, seq: PEER_ISS, port: 4_001 })
      expect(listener.pending.size).toBe(1)
    }))

  test('a port is listened on while a connection with it is in SYN-SENT, and while one is in SYN-RECEIVED (MUST-42)', () =>
    withPeer((peer) => {
      const active = open(peer, { localPort: HOST_PORT })
      peer.wait(1)
      expect(active.state).toBe('SYN-SENT')
      const listener = peer.listen()
      peer.say({ flags: SYN, seq: PEER_ISS, port: 4_001 })
      expect(listener.pending.size).toBe(1)
      peer.say({ flags: SYN, seq: PEER_ISS, options: { mss: 1_000 } })
      expect(active.state).toBe('SYN-RECEIVED')
      const other = { family: 4 as const, port: HOST_PORT + 1 }
      expect(listen(peer.host.tcp, other, {}).port).toBe(HOST_PORT + 1)
      peer.say({ flags: ACK, seq: seqAdd(PEER_ISS, 1), ack: seqAdd(active.snd.iss, 1) })
      expect(active.state).toBe('ESTABLISHED')
    }))

  test('IP chooses the local address unless the program does, and nothing changes it later (MUST-43, MUST-44, MUST-45)', () =>
    withPeer((peer) => {
      const { host, on } = peer.peer
      host.addAddress(on, IpPrefix.from('10.0.0.7/24'), 0)
      expect(`${open(peer).localAddress}`).toBe('10.0.0.1')
      expect(`${open(peer, { localAddress: '10.0.0.7' }).localAddress}`).toBe('10.0.0.7')
      const sources = (): string[] => peer.peer.packets().map(({ source }) => source)
      peer.world.runFor(millis(1))
      expect(sources()).toEqual(['10.0.0.1', '10.0.0.7'])
      // What was resolved is stale now, and resolved anew for the SYNs that go again.
      host.addAddress(on, IpPrefix.from('10.0.0.3/24'), 0)
      peer.world.runFor(millis(1_000))
      expect(sources()).toEqual(['10.0.0.1', '10.0.0.7'])
    }))

  test('a connection to a group or to everybody is refused (MUST-46)', () =>
    withPeer((peer) => {
      for (const remote of ['224.0.0.1', '255.255.255.255', '10.0.0.255', '0.0.0.0', 'ff02::1']) {
        expect(() => open(peer, { remote }), remote).toThrow('ENETUNREACH')
      }
      expect(peer.host.tcp.demux.size).toBe(0)
    }))
})

describe('giving up (RFC 9293 §3.8.3)', () => {
  test('data is sent again for more than 100 seconds by default (SHLD-11)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      write(peer, connection, 100)
      peer.wait(100_000)
      expect(connection.state).toBe('ESTABLISHED')
      peer.wait(1_000_000)
      expect([connection.state, connection.error]).toEqual(['CLOSED', 'ETIMEDOUT'])
    }))
})

describe('addresses and options of IP', () => {
  test('a SYN to everybody or to a group is dropped in silence (RFC 9293 §3.9.2.3, MUST-57)', () =>
    withPeer((peer) => {
      const listener = peer.listen()
      const syn = { flags: SYN, seq: PEER_ISS }
      for (const destination of ['10.0.0.255', '255.255.255.255', '224.0.0.1']) {
        peer.peer.send(peer.packet(syn, { destination }))
      }
      expect([peer.heard(), listener.pending.size]).toEqual([[], 0])
    }))

  test('a SYN from an address that no host has is dropped in silence (RFC 9293 §3.9.2.3, MUST-63)', () =>
    withPeer((peer) => {
      const listener = peer.listen()
      const syn = { flags: SYN, seq: PEER_ISS }
      for (const source of ['10.0.0.255', '255.255.255.255', '224.0.0.1', '127.0.0.1', '0.0.0.0', '10.0.0.1']) {
        peer.peer.send(peer.packet(syn, { source }))
      }
      expect([peer.heard(), listener.pending.size]).toEqual([[], 0])
    }))

  test('IP options that TCP does not know change nothing (RFC 9293 §3.9.2, MUST-50)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      // A time stamp option, and one of a kind that nobody gave out.
      for (const options of [
        [68, 8, 5, 0, 0, 0, 0, 0],
        [0x9e, 4, 1, 2],
      ]) {
        peer.peer.send(peer.packet({ flags: ACK, data: new Uint8Array(100) }, { options }))
        peer.nxt = seqAdd(peer.nxt, 100)
      }
      expect(connection.receiveQueue.available).toBe(200)
    }))
})
