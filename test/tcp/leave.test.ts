// A host that goes, seen by its peers segment by segment, and by the programs that held its sockets.

import { describe, expect, test } from 'vitest'
import { settle } from '../../src/node/settle.ts'
import { TcpListener } from '../../src/socket/tcp-listener.ts'
import { TcpSocket } from '../../src/socket/tcp-socket.ts'
import { awaitsEnds, cutShort, letAllGo, owes } from '../../src/tcp/leave.ts'
import { connect } from '../../src/tcp/open.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { seqAdd } from '../../src/wire/sequence.ts'
import { ACK, FIN, SYN } from '../../src/wire/tcp.ts'
import { inWorld } from '../support/peer.ts'
import { type Answer, HOST_PORT, TcpPeer } from '../support/tcp-peer.ts'

const withPeer = (body: (peer: TcpPeer) => void | Promise<void>): Promise<void> =>
  inWorld(5, (world, pool) => body(new TcpPeer(world, pool)), { settle })

/** The host lets go, and the peer hears of it. */
function leave({ host, world, peer }: TcpPeer): void {
  letAllGo(host.tcp, world.now)
  host.poll(world.now)
  peer.end.poll(world.now)
}

const textsOf = (answers: readonly Answer[]): string[] => answers.map(({ text }) => text)
const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(7)

describe('a host that lets all go', () => {
  test('ends a connection in order behind what was written, and owes until the peer acknowledged the end (RFC 9293 §3.6)', () =>
    withPeer((peer) => {
      const { tcp } = peer.host
      const socket = new TcpSocket(peer.host, peer.establish())
      socket.tryWrite(bytes(5))
      leave(peer)
      expect(peer.heard()).toMatchObject([{ text: 'FP.', length: 5, seq: peer.expects }])
      expect([owes(tcp), awaitsEnds(tcp)]).toEqual([true, false])
      peer.say({ flags: ACK, ack: seqAdd(peer.expects, 5) })
      expect(owes(tcp)).toBe(true)
      peer.say({ flags: ACK, ack: seqAdd(peer.expects, 6) })
      expect([owes(tcp), awaitsEnds(tcp)]).toEqual([false, true])
      const last = peer.say({ flags: FIN | ACK, ack: seqAdd(peer.expects, 6) })
      expect(textsOf(last)).toEqual(['.'])
      expect([owes(tcp), awaitsEnds(tcp)]).toEqual([false, false])
    }))

  test('resets a connection whose bytes nobody read (RFC 2525 §2.17)', () =>
    withPeer((peer) => {
      new TcpSocket(peer.host, peer.establish())
      peer.say({ flags: ACK, data: bytes(3) })
      leave(peer)
      expect(textsOf(peer.heard())).toEqual(['R.'])
      expect(owes(peer.host.tcp)).toBe(false)
    }))

  test('resets what waits to be accepted, also where the handshake is under way, and refuses whoever comes then', () =>
    withPeer((peer) => {
      const listener = peer.listen()
      peer.establish({ mss: 1_460 }, listener)
      // The next one is not accepted, and the one after it has not acknowledged.
      for (const port of [4_001, 4_002]) {
        const [reply] = peer.say({ flags: SYN, port, seq: peer.iss })
        const ack = seqAdd(reply!.seq, 1)
        if (port === 4_001) peer.say({ flags: ACK, port, seq: seqAdd(peer.iss, 1), ack })
      }
      expect([listener.accepted.length, listener.pending.size]).toEqual([1, 1])
      leave(peer)
      expect(textsOf(peer.heard()).sort()).toEqual(['F.', 'R.', 'R.'])
      expect(textsOf(peer.say({ flags: SYN, port: 4_003, seq: peer.iss }))).toEqual(['R.'])
    }))

  test('says nothing to a peer that it only asked, and asks no more', () =>
    withPeer((peer) => {
      const remoteAddress = IpAddress.from('10.0.0.2')
      connect(peer.host.tcp, { remoteAddress, remotePort: 9 }, peer.world.now)
      expect(textsOf(peer.wait(1))).toEqual(['S'])
      leave(peer)
      expect(peer.wait(10_000)).toEqual([])
      expect(owes(peer.host.tcp)).toBe(false)
    }))

  test('does not end twice what its program had ended', () =>
    withPeer((peer) => {
      const socket = new TcpSocket(peer.host, peer.establish())
      socket.close()
      expect(textsOf(peer.wait(1))).toEqual(['F.'])
      leave(peer)
      expect(peer.heard()).toEqual([])
      expect(owes(peer.host.tcp)).toBe(true)
    }))

  test('resets in the end a connection whose end it could not send, lest a part is taken for the whole', () =>
    withPeer((peer) => {
      const { host, world } = peer
      const socket = new TcpSocket(host, peer.establish())
      peer.say({ flags: ACK, window: 4 })
      socket.tryWrite(bytes(10))
      leave(peer)
      expect(textsOf(peer.heard()).join('')).not.toMatch(/F|R/)
      expect(owes(host.tcp)).toBe(true)
      cutShort(host.tcp, world.now)
      expect(textsOf(peer.heard())).toEqual(['R.'])
    }))

  test('leaves alone in the end a connection whose end is on its way', () =>
    withPeer((peer) => {
      const { host, world } = peer
      new TcpSocket(host, peer.establish())
      leave(peer)
      expect(textsOf(peer.heard())).toEqual(['F.'])
      cutShort(host.tcp, world.now)
      expect(peer.heard()).toEqual([])
    }))
})

describe('the programs of a host that lets all go', () => {
  test('hear ECONNABORTED from what they wait for, and EBADF from a listener', () =>
    withPeer(async (peer) => {
      const { host, world } = peer
      const listener = new TcpListener(host, { family: 4, port: HOST_PORT })
      const socket = new TcpSocket(host, peer.establish({ mss: 1_460 }, listener.listener))
      const waiting = Promise.allSettled([socket.read(bytes(1)), listener.accept()])
      await settle()
      leave(peer)
      const outcomes = await world.run(waiting)
      expect(outcomes).toMatchObject([{ reason: { code: 'ECONNABORTED' } }, { reason: { code: 'EBADF' } }])
      expect(() => socket.tryWrite(bytes(1))).toThrow(/ECONNABORTED/)
    }))

  test('cannot reset it any more, nor take back what was written', () =>
    withPeer((peer) => {
      const socket = new TcpSocket(peer.host, peer.establish())
      peer.say({ flags: ACK, window: 4 })
      socket.tryWrite(bytes(8))
      leave(peer)
      socket.abort()
      socket.close()
      // The window was too small for it so far.
      expect(peer.heard()).toEqual([])
      expect(peer.say({ flags: ACK })).toMatchObject([{ text: 'FP.', length: 8 }])
    }))
})
