// What a program hears of a connection that goes on (RFC 9293 §3.9.1.8), urgent data (§3.8.5), and windows that shrink
// or stay shut (§3.8.6).

import { describe, expect, test } from 'vitest'
import { settle } from '../../src/node/settle.ts'
import { TcpListener } from '../../src/socket/tcp-listener.ts'
import { type TcpReport, TcpSocket } from '../../src/socket/tcp-socket.ts'
import { type Connection, urgentBytes } from '../../src/tcp/connection.ts'
import { DEFAULT_TCP_CONFIG } from '../../src/tcp/environment.ts'
import { connect, letGo, setOptions } from '../../src/tcp/open.ts'
import { millis, seconds } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { PROTOCOL_ICMP4 } from '../../src/wire/ipv4.ts'
import { seqAdd } from '../../src/wire/sequence.ts'
import { ACK, SYN } from '../../src/wire/tcp.ts'
import { packet4, viewOf } from '../support/packets.ts'
import { inWorld } from '../support/peer.ts'
import { PEER_ISS, TcpPeer } from '../support/tcp-peer.ts'
import { naiveChecksum } from '../wire/naive-checksum.ts'

const withPeer = (body: (peer: TcpPeer) => void): Promise<void> =>
  inWorld(5, (world, pool) => body(new TcpPeer(world, pool)))

/** A socket around the host's connection, and what it reports. */
function reporting(peer: TcpPeer, connection: Connection): TcpReport[] {
  const reports: TcpReport[] = []
  new TcpSocket(peer.host, connection).report = (report) => reports.push(report)
  return reports
}

function write(peer: TcpPeer, length: number) {
  const { connection, host } = peer
  connection!.sendQueue.append(new Uint8Array(length), 0, length)
  host.tcp.owe(connection!)
  return peer.wait(1)
}

/** An ICMP host unreachable about the oldest segment of the connection. */
function unreachable(peer: TcpPeer, connection: Connection): void {
  const quoted = new Uint8Array(8)
  viewOf(quoted).setUint16(0, connection.localPort)
  viewOf(quoted).setUint16(2, connection.remotePort)
  viewOf(quoted).setInt32(4, connection.snd.una)
  const inner = packet4({ protocol: 6, payload: quoted, source: '10.0.0.1', destination: '10.0.0.2' })
  const message = new Uint8Array(8 + inner.length)
  message.set([3, 1])
  message.set(inner, 8)
  viewOf(message).setUint16(2, naiveChecksum(message))
  peer.peer.send(packet4({ protocol: PROTOCOL_ICMP4, payload: message }))
}

describe('reports to the program', () => {
  test('an ICMP error is told while the connection goes on (RFC 9293 MUST-47, MUST-54, MUST-56, SHLD-25)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      const reports = reporting(peer, connection)
      write(peer, 100)
      unreachable(peer, connection)
      expect(reports).toEqual([{ kind: 'soft-error', code: 'EHOSTUNREACH' }])
      expect(connection.state).toBe('ESTABLISHED')
    }))

  test('a program that asks for none any more hears none, and may still look (RFC 9293 SHLD-20)', () =>
    withPeer((peer) => {
      const socket = new TcpSocket(peer.host, peer.establish())
      const reports: TcpReport[] = []
      socket.report = (report) => reports.push(report)
      write(peer, 100)
      unreachable(peer, socket.connection)
      socket.report = null
      unreachable(peer, socket.connection)
      expect([reports.length, socket.softError]).toEqual([1, 'EHOSTUNREACH'])
    }))

  test('three repetitions in vain are told, long before the connection is given up (RFC 9293 MUST-20, SHLD-9, SHLD-10)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      const reports = reporting(peer, connection)
      write(peer, 100)
      peer.wait(connection.rtt.rto / 1_000 + 100)
      expect(reports).toEqual([])
      peer.wait(20_000)
      expect([reports, connection.state]).toEqual([[{ kind: 'delivery-problem' }], 'ESTABLISHED'])
    }))

  test('a neighbour through which nothing comes back is asked whether it lives (RFC 9293 MUST-20 b, RFC 1122 §3.3.1.4)', () =>
    inWorld(
      9,
      async (world) => {
        const [a, b] = [world.host('a'), world.host('b')]
        const cable = world.cable({ delay: millis(1) })
        let swallow = false
        const faults = { outbound: { drop: () => swallow } }
        const on = world.attach(a, cable.a, { addresses: ['10.0.0.1/24'], linkLocal: false, faults })
        world.attach(b, cable.b, { addresses: ['10.0.0.2/24'], linkLocal: false })
        await world.run(
          (async () => {
            const there = IpAddress.from('10.0.0.2')
            const listener = new TcpListener(b, { family: 4, port: 80 })
            const socket = await TcpSocket.connect(a, { remoteAddress: there, remotePort: 80 })
            const state = () => on.neighbors4!.list().find(({ address }) => address.equals(there))?.state
            await socket.write(new Uint8Array(10))
            await socket.flush()
            expect(state()).toBe('REACHABLE')
            swallow = true
            await socket.write(new Uint8Array(10))
            while (socket.connection.retransmits < 3) await world.sleep(millis(10))
            expect(['STALE', 'DELAY']).toContain(state())
            socket.abort()
            listener.close()
          })(),
        )
      },
      { settle },
    ))

  test('a SYN is repeated for more than three minutes (RFC 9293 MUST-22, MUST-23)', () =>
    withPeer((peer) => {
      const wanted = { remoteAddress: IpAddress.from('10.0.0.2'), remotePort: 9 }
      const connection = connect(peer.host.tcp, wanted, peer.world.now)
      const reports = reporting(peer, connection)
      peer.wait(180_000)
      expect([connection.state, connection.retransmits]).toEqual(['SYN-SENT', DEFAULT_TCP_CONFIG.synRetries])
      expect(reports).toEqual([{ kind: 'delivery-problem' }])
      peer.wait(100_000)
      expect([connection.state, connection.error]).toEqual(['CLOSED', 'ETIMEDOUT'])
    }))

  test.each([600, 3_600])(
    'data is repeated for the %i seconds that a program set, not for those of the stack (RFC 9293 MUST-21)',
    (time) =>
      withPeer((peer) => {
        const connection = peer.establish()
        setOptions(peer.host.tcp, connection, { userTimeout: seconds(time) }, peer.world.now)
        write(peer, 100)
        peer.wait(time * 1_000 - 100)
        const most = DEFAULT_TCP_CONFIG.dataRetries
        expect([connection.state, connection.retransmits > most]).toEqual(['ESTABLISHED', time > 1_000])
        peer.wait(200)
        expect([connection.state, connection.error]).toEqual(['CLOSED', 'ETIMEDOUT'])
      }),
  )
})

describe('urgent data', () => {
  test('is announced when the pointer advances, not again for the same one, and read in line (RFC 9293 MUST-30, MUST-32)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      const reports = reporting(peer, connection)
      peer.say({ flags: ACK, data: new Uint8Array(100), urgentPointer: 50 })
      peer.nxt = seqAdd(peer.nxt, 100)
      peer.say({ flags: ACK, seq: seqAdd(peer.nxt, -100), data: new Uint8Array(100), urgentPointer: 50 })
      expect(reports).toEqual([{ kind: 'urgent', bytes: 50 }])
      peer.say({ flags: ACK, data: new Uint8Array(10), urgentPointer: 10 })
      expect(reports).toHaveLength(2)
      expect(connection.receiveQueue.available).toBe(110)
    }))

  test('of any length is counted down as it is read (RFC 9293 MUST-31, MUST-33)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      peer.say({ flags: ACK, urgentPointer: 3_000 })
      for (let count = 0; count < 3; count++) {
        peer.say({ flags: ACK, data: new Uint8Array(1_000), urgentPointer: 3_000 - 1_000 * count })
        peer.nxt = seqAdd(peer.nxt, 1_000)
      }
      peer.say({ flags: ACK, data: new Uint8Array(500) })
      expect(urgentBytes(connection)).toBe(3_000)
      connection.receiveQueue.read(new Uint8Array(2_500), 0, 2_500)
      expect(urgentBytes(connection)).toBe(500)
      connection.receiveQueue.read(new Uint8Array(900), 0, 900)
      expect(urgentBytes(connection)).toBe(0)
    }))

  test('is announced while the window is shut, and a pointer into what was read is nothing (RFC 9293 MUST-66)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      const reports = reporting(peer, connection)
      connection.rcv.edge = connection.rcv.nxt
      connection.receiveLimit = 0
      peer.say({ flags: ACK, data: new Uint8Array(10), urgentPointer: 0 })
      expect(reports).toEqual([])
      peer.say({ flags: ACK, data: new Uint8Array(10), urgentPointer: 5 })
      expect([reports, connection.receiveQueue.available]).toEqual([[{ kind: 'urgent', bytes: 5 }], 0])
    }))

  test('that we send points behind its last octet in every segment until then (RFC 9293 MUST-62)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      const socket = new TcpSocket(peer.host, connection)
      void socket.write(new Uint8Array(3_000), { urgent: true })
      const heard = peer.wait(1)
      expect(heard.map(({ length, urgentPointer }) => [length, urgentPointer])).toEqual([
        [1_460, 3_000],
        [1_460, 1_540],
        [80, 80],
      ])
      void socket.write(new Uint8Array(100))
      peer.expects = connection.snd.nxt
      expect(peer.say({ flags: ACK })[0]).toMatchObject({ length: 100, urgentPointer: 0 })
    }))

  test('beyond the reach of the field is announced as far as it goes (RFC 9293 MUST-31)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      void new TcpSocket(peer.host, connection).write(new Uint8Array(100_000), { urgent: true })
      expect(peer.wait(1)[0]!.urgentPointer).toBe(65_535)
    }))
})

describe('windows', () => {
  test('a window that shrinks below what was sent takes nothing back, and loses nothing (RFC 9293 MUST-34)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      expect(write(peer, 5_000)).toHaveLength(4)
      peer.say({ flags: ACK, ack: seqAdd(connection.snd.una, 1_460), window: 100 })
      expect(write(peer, 1_000)).toEqual([])
      peer.expects = connection.snd.nxt
      expect(peer.say({ flags: ACK, window: 5_000 })[0]).toMatchObject({ length: 1_000 })
    }))

  test('a window that shrinks to nothing over what was sent keeps the connection while the peer answers (RFC 9293 MUST-35, MUST-37)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      write(peer, 1_000)
      const end = peer.world.now + seconds(4 * 3_600)
      peer.say({ flags: ACK, window: 0 })
      let asked = 0
      while (peer.world.now < end) {
        const heard = peer.wait(1_000)
        asked += heard.length
        if (heard.length > 0) peer.say({ flags: ACK, window: 0 })
      }
      expect(connection.state).toBe('ESTABLISHED')
      expect(asked).toBeGreaterThan(DEFAULT_TCP_CONFIG.dataRetries)
      expect(asked).toBeLessThan(200)
      peer.expects = connection.snd.nxt
      peer.say({ flags: ACK, window: 1_000 })
      expect(connection.board.first).toBeNull()
    }))

  test('a peer that shuts its window to a program that is gone does not hold its memory for ever', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      peer.say({ flags: ACK, window: 0 })
      write(peer, 1_000)
      letGo(peer.host.tcp, connection, peer.world.now)
      for (let minute = 0; minute < 20; minute++) {
        for (let second = 0; second < 60; second++) {
          if (peer.wait(1_000).length > 0) peer.say({ flags: ACK, window: 0 })
        }
      }
      expect(connection.state).toBe('CLOSED')
    }))
})

test('no segment is larger than the peer takes, options counted, be it ever so small (RFC 9293 MUST-14, MUST-16)', () =>
  withPeer((peer) => {
    const options = { mss: 100, timestamps: true, timestampValue: 7 }
    peer.listen()
    const [reply] = peer.say({ flags: SYN, seq: PEER_ISS, options })
    peer.nxt = seqAdd(PEER_ISS, 1)
    peer.expects = seqAdd(reply!.seq, 1)
    const echo = { timestamps: true, timestampValue: 8, timestampEcho: reply!.options.timestampValue }
    peer.say({ flags: ACK, options: echo })
    peer.connection = [...peer.host.tcp.demux.values()][0]!
    expect(write(peer, 500).map(({ length }) => length)).toEqual([88, 88, 88, 88, 88, 60])
  }))
