// What bad peers and careless programs once broke, or might: a probe of what SACK told of, resets that use up those of
// others, callbacks that throw, options that no connection can work with.

import { describe, expect, test } from 'vitest'
import { UsageError } from '../../src/errors.ts'
import { TcpListener } from '../../src/socket/tcp-listener.ts'
import { TcpSocket } from '../../src/socket/tcp-socket.ts'
import type { ConnectionOptions } from '../../src/tcp/connection-options.ts'
import { connect } from '../../src/tcp/open.ts'
import { type Micros, NEVER } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { seq, seqAdd } from '../../src/wire/sequence.ts'
import { ACK, FIN, RST } from '../../src/wire/tcp.ts'
import { violationOf } from '../fuzz/siege-rules.ts'
import { inWorld } from '../support/peer.ts'
import { TcpPeer } from '../support/tcp-peer.ts'

const withPeer = (body: (peer: TcpPeer) => void): Promise<void> =>
  inWorld(5, (world, pool) => body(new TcpPeer(world, pool)))

test('a tail that SACK told of is not probed for: RACK sees to what is missing (RFC 8985 §7.2)', () =>
  withPeer((peer) => {
    const connection = peer.establish({ mss: 1_460, sackPermitted: true })
    const write = (length: number): void => {
      connection.sendQueue.append(new Uint8Array(length), 0, length)
      peer.host.tcp.owe(connection)
      peer.wait(1)
    }
    // The round trip is long now, and was short.
    for (let count = 0; count < 5; count++) {
      write(1)
      peer.wait(100)
      peer.expects = connection.snd.nxt
      peer.say({ flags: ACK })
    }
    write(2_920)
    const { una } = connection.snd
    const second = seqAdd(una, 1_460)
    // It comes just before the probe, and reordering was seen: the first may still be on its way.
    connection.reorderingSeen = true
    connection.reorderWindowMultiplier = 64
    const { probeAt } = connection.timers
    peer.wait((probeAt - peer.world.now) / 1_000 - 5)
    peer.say({ flags: ACK, options: { sack: [[second, seqAdd(second, 1_460)]] } })
    expect(connection.timers.reorderAt).toBeGreaterThan(probeAt)
    const heard = []
    while (heard.length === 0) heard.push(...peer.wait(1))
    expect(peer.world.now).toBeGreaterThan(probeAt)
    expect(heard.map(({ seq }) => seq)).toEqual([una])
    expect(violationOf(connection)).toBe('')
  }))

test('a flood of RSTs to closed ports does not use up the RSTs that others are owed (RFC 9293 §3.5.2)', () =>
  withPeer((peer) => {
    for (let count = 0; count < 1_500; count++) {
      peer.peer.sendNow(peer.packet({ flags: RST, seq: seq(count) }))
      if (count % 50 === 0) peer.world.runFor(0 as Micros)
    }
    expect(peer.say({ flags: ACK, ack: seq(77) }).map(({ text }) => text)).toEqual(['R'])
  }))

test("a program's callback that throws costs neither its own connection nor others what they are to hear", () =>
  withPeer((peer) => {
    const listener = new TcpListener(peer.host, { family: 4, port: 80 })
    const first = peer.establish({ mss: 1_460 }, listener.listener)
    const [bad, closed] = [new TcpSocket(peer.host, first), [] as string[]]
    bad.report = () => {
      throw new Error('mine')
    }
    const onClosed = bad.onClosed.bind(bad)
    bad.onClosed = (error) => {
      closed.push(String(error))
      onClosed(error)
    }
    const dialled = connect(peer.host.tcp, { remoteAddress: IpAddress.from('10.0.0.2'), remotePort: 9 }, peer.world.now)
    const other = new TcpSocket(peer.host, dialled)
    other.onClosed = (error) => void closed.push(`other ${error}`)
    // In one batch: urgent data, which is reported, and resets of both.
    peer.peer.sendNow(peer.packet({ flags: ACK, data: new Uint8Array(10), urgentPointer: 10 }))
    peer.peer.sendNow(peer.packet({ flags: RST, seq: seqAdd(peer.nxt, 10) }))
    peer.host.tcp.close(dialled, 'ECONNREFUSED')
    expect(() => peer.wait(1)).toThrow('mine')
    expect(closed.sort()).toEqual(['ECONNRESET', 'other ECONNREFUSED'])
    listener.close()
  }))

describe('options that no connection can work with', () => {
  test.each([
    ['keepAliveIdle', 0],
    ['keepAliveIdle', NEVER],
    ['keepAliveInterval', -1],
    ['keepAliveCount', Number.POSITIVE_INFINITY],
    ['userTimeout', Number.NaN],
    ['hopLimit', 0],
    ['hopLimit', 256],
    ['trafficClass', -1],
    ['receiveBytes', 0],
    ['receiveBytes', 2 ** 31],
    ['sendBytes', 1.5],
    ['segmentLimit', 65_536],
    ['segmentLimit', '1460' as unknown as number],
  ])('%s %s is refused in one sentence, by listeners, connections to be made and those that are', (name, value) =>
    withPeer((peer) => {
      const options = { [name]: value as Micros } as Partial<ConnectionOptions>
      const refused = new RegExp(`^${name} is ${value}: give a whole number from \\d+ to \\d+$`)
      const { host, world } = peer
      expect(() => new TcpListener(host, { family: 4, port: 81 }, options)).toThrow(refused)
      const wanted = { remoteAddress: IpAddress.from('10.0.0.2'), remotePort: 9, options }
      expect(() => connect(host.tcp, wanted, world.now)).toThrow(UsageError)
      const socket = new TcpSocket(host, peer.establish())
      const before = { ...socket.options }
      expect(() => socket.setOptions(options)).toThrow(refused)
      expect(socket.options).toEqual(before)
      expect(host.tcp.listeners.has(81)).toBe(false)
    }),
  )

  test('smaller buffers count at once, but what was promised stays promised (RFC 9293 SHLD-14)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      const socket = new TcpSocket(peer.host, connection)
      const promised = connection.rcv.edge
      socket.setOptions({ receiveBytes: 3_000, sendBytes: 2_000 })
      expect(socket.tryWrite(new Uint8Array(10_000))).toBe(2_000)
      peer.wait(1)
      const [answer] = peer.say({ flags: ACK, data: new Uint8Array(1_000) })
      expect(connection.rcv.edge).toBe(promised)
      expect(seqAdd(answer!.ack, answer!.window)).toBe(promised)
      socket.tryRead(new Uint8Array(1_000))
      peer.wait(100)
      expect(connection.rcv.edge).toBe(promised)
      peer.say({ flags: FIN | ACK, seq: connection.rcv.nxt })
      expect(connection.state).toBe('CLOSE-WAIT')
    }))
})
