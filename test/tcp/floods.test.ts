// What strangers and bad peers cost: floods of SYNs and of forged resets, and memory under peers that never read,
// never acknowledge, ignore the window, or leave a hole before every byte.

import { describe, expect, test } from 'vitest'
import type { PagePool } from '../../src/buf/page.ts'
import { settle } from '../../src/node/settle.ts'
import type { World } from '../../src/sim/world.ts'
import { TcpListener } from '../../src/socket/tcp-listener.ts'
import { TcpSocket } from '../../src/socket/tcp-socket.ts'
import type { TcpConfig } from '../../src/tcp/environment.ts'
import { letGo, shutdownWrite, writeRoom } from '../../src/tcp/open.ts'
import { MAX_HOLES } from '../../src/tcp/receive-queue.ts'
import { millis, seconds } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { seq, seqAdd } from '../../src/wire/sequence.ts'
import { ACK, FIN, RST, SYN } from '../../src/wire/tcp.ts'
import { viewOf } from '../support/packets.ts'
import { attachBare, inWorld } from '../support/peer.ts'
import { testPool } from '../support/pool.ts'
import { PEER_ISS, TcpPeer } from '../support/tcp-peer.ts'

const withPeer = (
  config: Partial<TcpConfig>,
  body: (peer: TcpPeer, pool: PagePool, world: World) => void,
): Promise<void> => inWorld(5, (world, pool) => body(new TcpPeer(world, pool, { tcp: { config } }), pool, world))

const KIB = 1_024

/** SYNs from as many addresses: what is added to one field is taken from another, so that both checksums stay right. */
function* synFlood(template: Uint8Array): IterableIterator<Uint8Array> {
  for (;;) {
    for (let k = 1; k < 0xffff; k++) {
      const packet = template.slice()
      const view = viewOf(packet)
      view.setUint16(4, 0xffff - k)
      view.setUint16(14, k)
      view.setUint16(26, 0xffff - k)
      yield packet
    }
    const port = viewOf(template).getUint16(20)
    viewOf(template).setUint16(20, port + 1)
    viewOf(template).setUint16(24, viewOf(template).getUint16(24) - 1)
  }
}

const SYN_FLOOD = 100_000

test(`of ${SYN_FLOOD} SYNs in a second a client in their midst notices nothing but a cookie (RFC 4987)`, {
  timeout: 60_000,
}, () => {
  const pool = testPool({ trace: false })
  return inWorld(
    8,
    async (world) => {
      const [server, client] = [world.host('server'), world.host('client')]
      const cable = world.cable({ delay: millis(5) })
      world.attach(server, cable.a, { addresses: ['10.0.0.1/24'], linkLocal: false })
      world.attach(client, cable.b, { addresses: ['10.0.0.2/24'], linkLocal: false })
      const attacker = attachBare(world, server, ['10.1.0.1/16'])
      attacker.end.onReceive = (packet) => packet.release()
      const maker = new TcpPeer(world, pool)
      // The halves that the flood takes from begin full.
      const syn = { flags: SYN, seq: seq(0x1234_ffff), port: 1_000 }
      const flood = synFlood(maker.packet(syn, { source: '10.1.0.0', destination: '10.0.0.1', identification: 0xffff }))
      const listener = new TcpListener(server, { family: 4, port: 80, backlog: 128 })
      let most = 0
      const flooding = (async () => {
        for (let tick = 0; tick < 1_000; tick++) {
          for (let count = 0; count < SYN_FLOOD / 1_000; count++) attacker.sendNow(flood.next().value as Uint8Array)
          await world.sleep(millis(1))
          most = Math.max(most, server.tcp.demux.size)
        }
      })()
      const talking = (async () => {
        await world.sleep(millis(300))
        const begin = world.now
        const there = { remoteAddress: IpAddress.from('10.0.0.1'), remotePort: 80 }
        const [socket, accepted] = await Promise.all([TcpSocket.connect(client, there), listener.accept()])
        await socket.write(new Uint8Array(100_000))
        const target = new Uint8Array(100_000)
        for (let sum = 0; sum < target.length; ) sum += await accepted.read(target)
        await accepted.write(new Uint8Array(10))
        expect(await socket.read(target)).toBe(10)
        socket.abort()
        return world.now - begin
      })()
      const [took] = await world.run(Promise.all([talking, flooding]))
      expect(took).toBeLessThan(seconds(1))
      expect(server.counters.TcpInSegs).toBeGreaterThan(SYN_FLOOD)
      expect(server.counters.TcpInCsumErrors).toBe(0)
      expect(server.counters.TcpExtSyncookiesSent).toBeGreaterThan(SYN_FLOOD - 1_000)
      expect(server.counters.TcpExtSyncookiesRecv).toBe(1)
      expect(most).toBeLessThanOrEqual(130)
      listener.close()
    },
    { settle, pool },
  )
})

describe('the challenge ACK limit (RFC 5961 §7)', () => {
  const attackAll = (body: (peer: TcpPeer, ports: readonly number[], attack: (port: number) => number) => void) =>
    withPeer({ challengeAcksPerSecond: 10 }, (peer) => {
      const listener = peer.listen()
      const rcv = seqAdd(PEER_ISS, 1)
      const ports = Array.from({ length: 40 }, (_, index) => 4_001 + index)
      for (const port of ports) {
        const [reply] = peer.say({ flags: SYN, seq: PEER_ISS, port })
        peer.say({ flags: ACK, seq: rcv, ack: seqAdd(reply!.seq, 1), port })
        listener.accepted.length = 0
      }
      body(peer, ports, (port) => peer.say({ flags: RST, seq: seqAdd(rcv, 2), port }).length)
    })

  test('is one each half second for a connection, and lets the right RST through', () =>
    attackAll((peer, [port]) => {
      const { counters, tcp } = peer.host
      const [rcv, begin] = [seqAdd(PEER_ISS, 1), peer.world.now]
      let answers = 0
      for (let count = 0; count < 100; count++)
        answers += peer.say({ flags: RST, seq: seqAdd(rcv, 2), port: port! }).length
      const halves = Math.ceil((peer.world.now - begin) / millis(500))
      expect([answers, counters.TcpExtTCPChallengeACK]).toEqual([halves, halves])
      expect(counters.TcpExtTCPACKSkippedChallenge).toBe(100 - halves)
      const before = tcp.demux.size
      peer.say({ flags: RST, seq: rcv, port: port! })
      expect(tcp.demux.size).toBe(before - 1)
    }))

  test('of the host is another number each second, so that nobody learns from it who talks to whom', () =>
    attackAll((peer, ports, attack) => {
      const totals: number[] = []
      for (let second = 0; second < 20; second++) {
        peer.wait(1_000)
        totals.push(ports.reduce((sum, port) => sum + attack(port), 0))
      }
      expect(new Set(totals).size).toBeGreaterThan(5)
      expect(Math.min(...totals)).toBeGreaterThanOrEqual(5)
      expect(Math.max(...totals)).toBeLessThanOrEqual(15)
    }))
})

describe('TIME-WAIT', () => {
  test('holds as many connections as it may, and of more the oldest goes (RFC 9293 §3.6.1)', () =>
    withPeer({ timeWaitLimit: 5 }, (peer) => {
      const { counters, tcp } = peer.host
      const listener = peer.listen()
      for (let index = 0; index < 12; index++) {
        const port = 5_000 + index
        const [reply] = peer.say({ flags: SYN, seq: PEER_ISS, port })
        const [rcv, ack] = [seqAdd(PEER_ISS, 1), seqAdd(reply!.seq, 1)]
        peer.say({ flags: ACK, seq: rcv, ack, port })
        letGo(tcp, listener.accepted.shift()!, peer.world.now)
        peer.wait(1)
        expect(peer.say({ flags: FIN | ACK, seq: rcv, ack: seqAdd(ack, 1), port })[0]!.text).toBe('.')
        expect(tcp.demux.size).toBe(Math.min(index + 1, 5))
      }
      expect([...tcp.demux.values()].map(({ remotePort }) => remotePort).sort()).toEqual([
        5_007, 5_008, 5_009, 5_010, 5_011,
      ])
      expect([counters.TcpExtTW, counters.TcpExtTCPTimeWaitOverflow]).toEqual([12, 7])
    }))

  test('gives way to a SYN with a newer time stamp, whatever its number, and not to one with an older (RFC 6191)', () =>
    withPeer({}, (peer) => {
      const connection = peer.establish()
      connection.timestampsOn = true
      connection.tsRecent = 1_000
      const stamped = (timestampValue: number) => ({ timestamps: true, timestampValue, timestampEcho: 0 })
      shutdownWrite(peer.host.tcp, connection)
      peer.wait(1)
      peer.expects = seqAdd(peer.expects, 1)
      peer.say({ flags: FIN | ACK, options: stamped(1_000) })
      expect(connection.state).toBe('TIME-WAIT')
      const older = peer.say({ flags: SYN, seq: seqAdd(peer.nxt, 90_000), options: stamped(999) })
      expect([older[0]!.text, connection.state]).toEqual(['.', 'TIME-WAIT'])
      const newer = peer.say({ flags: SYN, seq: seqAdd(peer.nxt, -90_000), options: { ...stamped(1_001), mss: 1_460 } })
      expect([newer[0]!.text, connection.state]).toEqual(['S.', 'CLOSED'])
    }))
})

describe('memory is bounded', () => {
  test('under a peer that ignores the window and a program that does not read', () =>
    withPeer({}, (peer, pool) => {
      const connection = peer.establish()
      const { receiveLimit } = connection
      for (let count = 0; count < 1_000; count++) {
        peer.say({ flags: ACK, seq: seqAdd(peer.nxt, 1_460 * count), data: new Uint8Array(1_460) })
      }
      expect(connection.receiveQueue.available).toBeGreaterThan(65_535 - 1_460)
      expect(connection.receiveQueue.available).toBeLessThanOrEqual(receiveLimit)
      expect(connection.receiveLimit).toBe(receiveLimit)
      expect(pool.inUseBytes).toBeLessThan(2 * receiveLimit)
    }))

  test('under a reader that is slower than its peer', () =>
    withPeer({}, (peer, pool) => {
      const connection = peer.establish()
      const target = new Uint8Array(100)
      for (let count = 0; count < 1_000; count++) {
        peer.say({ flags: ACK, seq: connection.rcv.nxt, data: new Uint8Array(1_000) })
        connection.receiveQueue.read(target, 0, target.length)
      }
      expect(connection.receiveQueue.available).toBeLessThanOrEqual(connection.receiveLimit)
      expect(pool.inUseBytes).toBeLessThan(3 * connection.receiveLimit)
    }))

  test('under a peer that never acknowledges, until it is given up', () =>
    withPeer({}, (peer, pool) => {
      const connection = peer.establish()
      let written = 0
      for (let room = writeRoom(connection); room > 0; room = writeRoom(connection)) {
        written += connection.sendQueue.append(new Uint8Array(room), 0, room)
        peer.host.tcp.owe(connection)
        peer.wait(100)
      }
      expect(written).toBe(256 * KIB)
      expect(pool.inUseBytes).toBeLessThan(1.2 * written)
      peer.wait(1_500_000)
      expect([connection.state, connection.error]).toEqual(['CLOSED', 'ETIMEDOUT'])
      expect(pool.inUse).toBe(0)
    }))

  test('under single bytes with a hole before each, and all that was kept counts once the holes are filled', () =>
    withPeer({}, (peer, pool) => {
      const connection = peer.establish({ mss: 1_460, sackPermitted: true })
      const { counters } = peer.host
      const begin = pool.inUse
      for (let at = 4_001; at > 0; at -= 2) {
        peer.say({ flags: ACK, seq: seqAdd(peer.nxt, at), data: Uint8Array.of(at & 0xff) })
      }
      expect(connection.receiveQueue.holes).toBe(MAX_HOLES)
      expect(counters.drops.tcpReceiveQueueFull).toBe(2_001 - MAX_HOLES)
      expect(pool.inUse - begin).toBe(MAX_HOLES)
      const bytes = Uint8Array.from({ length: 1_400 }, (_, index) => index)
      for (let at = 0; at < 4_200; at += 1_400) {
        peer.say({ flags: ACK, seq: seqAdd(peer.nxt, at), data: bytes.map((byte) => byte + at) })
      }
      expect([connection.receiveQueue.holes, connection.receiveQueue.available]).toEqual([0, 4_200])
      const target = new Uint8Array(4_200)
      connection.receiveQueue.read(target, 0, target.length)
      expect(target.every((byte, index) => byte === (index & 0xff))).toBe(true)
      expect(pool.inUse).toBe(begin)
    }))
})
