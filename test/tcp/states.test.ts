// SEGMENT ARRIVES, step by step and state by state (RFC 9293 §3.10.7), against a peer made by hand.

import { fc, test as property } from '@fast-check/vitest'
import { describe, expect, test } from 'vitest'
import { type Connection, setState, type TcpState } from '../../src/tcp/connection.ts'
import { connect, letGo, shutdownWrite } from '../../src/tcp/open.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { type Seq, seq, seqAdd } from '../../src/wire/sequence.ts'
import { ACK, FIN, PSH, RST, SYN } from '../../src/wire/tcp.ts'
import { dropsOf, inWorld } from '../support/peer.ts'
import { HOST_PORT, PEER_ISS, PEER_PORT, TcpPeer } from '../support/tcp-peer.ts'

const data = (length: number): Uint8Array => new Uint8Array(length).fill(7)

const withPeer = (body: (peer: TcpPeer) => void): Promise<void> =>
  inWorld(5, (world, pool) => body(new TcpPeer(world, pool)))

/** Brings the host's connection into a state. */
function reach(peer: TcpPeer, state: TcpState): Connection {
  if (state === 'SYN-SENT' || state === 'SYN-RECEIVED') return begin(peer, state)
  const connection = peer.establish()
  const { tcp } = peer.host
  const finish = (): void => {
    shutdownWrite(tcp, connection)
    peer.wait(1)
  }
  const finFromPeer = (ack = peer.expects): void => {
    peer.say({ flags: FIN | ACK, ack })
    peer.nxt = seqAdd(peer.nxt, 1)
  }
  if (state === 'CLOSE-WAIT' || state === 'LAST-ACK') finFromPeer()
  if (state !== 'ESTABLISHED' && state !== 'CLOSE-WAIT') finish()
  if (state === 'CLOSING') finFromPeer()
  if (state === 'FIN-WAIT-2' || state === 'TIME-WAIT') {
    peer.expects = seqAdd(peer.expects, 1)
    peer.say({ flags: ACK })
  }
  if (state === 'TIME-WAIT') finFromPeer()
  expect(connection.state).toBe(state)
  return connection
}

function begin(peer: TcpPeer, state: TcpState): Connection {
  const wanted = { remoteAddress: IpAddress.from('10.0.0.2'), remotePort: PEER_PORT, localPort: HOST_PORT }
  if (state === 'SYN-SENT') {
    const connection = connect(peer.host.tcp, wanted, peer.world.now)
    const [syn] = peer.wait(1)
    peer.iss = syn!.seq
    peer.expects = seqAdd(syn!.seq, 1)
    return connection
  }
  peer.listen()
  const [reply] = peer.say({ flags: SYN, seq: PEER_ISS, options: { mss: 1_460 } })
  peer.iss = reply!.seq
  peer.expects = seqAdd(reply!.seq, 1)
  peer.nxt = seqAdd(PEER_ISS, 1)
  return [...peer.host.tcp.demux.values()][0]!
}

const STATES: TcpState[] = [
  'SYN-SENT',
  'SYN-RECEIVED',
  'ESTABLISHED',
  'FIN-WAIT-1',
  'FIN-WAIT-2',
  'CLOSE-WAIT',
  'CLOSING',
  'LAST-ACK',
  'TIME-WAIT',
]
const SYNCHRONIZED = STATES.slice(2)

describe('CLOSED (RFC 9293 §3.10.7.1)', () => {
  test('a segment with ACK gets an RST with its number, one without gets RST and ACK', () =>
    withPeer((peer) => {
      const [first] = peer.say({ flags: ACK, seq: seq(10), ack: seq(77) })
      expect([first!.text, first!.seq]).toEqual(['R', 77])
      const [second] = peer.say({ flags: SYN, seq: seq(10), data: data(3) })
      expect([second!.text, second!.seq, second!.ack]).toEqual(['R.', 0, 14])
    }))

  test('an RST gets nothing', () => withPeer((peer) => expect(peer.say({ flags: RST, seq: seq(10) })).toEqual([])))
})

describe('LISTEN (RFC 9293 §3.10.7.2)', () => {
  test('first, an RST is ignored; second, an ACK gets an RST; third, a SYN makes a connection', () =>
    withPeer((peer) => {
      peer.listen()
      expect(peer.say({ flags: RST })).toEqual([])
      expect(peer.say({ flags: ACK, ack: seq(5) })[0]).toMatchObject({ text: 'R', seq: 5 })
      expect(peer.say({ flags: SYN | ACK, ack: seq(5) })[0]).toMatchObject({ text: 'R', seq: 5 })
      expect(peer.say({ flags: SYN })[0]).toMatchObject({ text: 'S.', ack: seqAdd(PEER_ISS, 1) })
    }))

  test('a segment with neither is dropped', () =>
    withPeer((peer) => {
      peer.listen()
      expect(peer.say({ flags: PSH, data: data(5) })).toEqual([])
    }))
})

describe('SYN-SENT (RFC 9293 §3.10.7.3)', () => {
  test('first, an ACK of what was not sent gets an RST', () =>
    withPeer((peer) => {
      const connection = reach(peer, 'SYN-SENT')
      const [reply] = peer.say({ flags: SYN | ACK, ack: seqAdd(peer.iss, 2) })
      expect(reply).toMatchObject({ text: 'R', seq: seqAdd(peer.iss, 2) })
      expect(connection.state).toBe('SYN-SENT')
    }))

  test('second, an RST counts with an acceptable ACK alone', () =>
    withPeer((peer) => {
      const connection = reach(peer, 'SYN-SENT')
      peer.say({ flags: RST })
      peer.say({ flags: RST | ACK, ack: seqAdd(peer.iss, 9) })
      expect(connection.state).toBe('SYN-SENT')
      peer.say({ flags: RST | ACK })
      expect([connection.state, connection.error]).toEqual(['CLOSED', 'ECONNREFUSED'])
    }))

  test('fourth, SYN and ACK establish, and are acknowledged at once', () =>
    withPeer((peer) => {
      const connection = reach(peer, 'SYN-SENT')
      const [reply] = peer.say({ flags: SYN | ACK })
      expect(reply).toMatchObject({ text: '.', ack: seqAdd(PEER_ISS, 1) })
      expect(connection.state).toBe('ESTABLISHED')
    }))

  test('fifth, without SYN and RST a segment is dropped, and counted as what it is', () =>
    withPeer((peer) => {
      const connection = reach(peer, 'SYN-SENT')
      const drops = dropsOf(peer.host.counters, () => expect(peer.say({ flags: ACK, data: data(5) })).toEqual([]))
      expect([drops, connection.state]).toEqual([{ tcpNoSyn: 1 }, 'SYN-SENT'])
    }))

  test('a SYN alone is a simultaneous open, which both SYN, ACKs complete (RFC 9293 §3.5, figure 7)', () =>
    withPeer((peer) => {
      const connection = reach(peer, 'SYN-SENT')
      expect(peer.say({ flags: SYN })[0]).toMatchObject({ text: 'S.', seq: peer.iss })
      expect(connection.state).toBe('SYN-RECEIVED')
      expect(peer.say({ flags: SYN | ACK })).toEqual([])
      expect(connection.state).toBe('ESTABLISHED')
    }))

  test('SYN, ACK with a time stamp that echoes none of ours is of an old connection (RFC 7323 §3.2)', () =>
    withPeer((peer) => {
      const connection = reach(peer, 'SYN-SENT')
      const options = { timestamps: true, timestampValue: 1, timestampEcho: connection.tsOffset - 100_000 }
      expect(peer.say({ flags: SYN | ACK, options })[0]!.text).toBe('R')
      expect(connection.state).toBe('SYN-SENT')
    }))
})

describe('SYN-RECEIVED', () => {
  test('the SYN again asks for the SYN, ACK again', () =>
    withPeer((peer) => {
      reach(peer, 'SYN-RECEIVED')
      expect(peer.say({ flags: SYN, seq: PEER_ISS })[0]).toMatchObject({ text: 'S.', seq: peer.iss })
    }))

  test('fifth, an ACK that is not acceptable gets an RST', () =>
    withPeer((peer) => {
      const connection = reach(peer, 'SYN-RECEIVED')
      expect(peer.say({ flags: ACK, ack: seqAdd(peer.iss, 5) })[0]).toMatchObject({ text: 'R' })
      expect(connection.state).toBe('SYN-RECEIVED')
    }))

  test('second, an RST returns to LISTEN without a word', () =>
    withPeer((peer) => {
      const connection = reach(peer, 'SYN-RECEIVED')
      expect(peer.say({ flags: RST })).toEqual([])
      expect([connection.state, connection.error]).toEqual(['CLOSED', null])
    }))

  test('the SYN, ACK is sent again after 1, 3, 7 seconds and given up after five times', () =>
    withPeer((peer) => {
      const connection = reach(peer, 'SYN-RECEIVED')
      expect(peer.wait(990)).toEqual([])
      expect(peer.wait(20)).toHaveLength(1)
      expect(peer.wait(2_000)).toHaveLength(1)
      expect(peer.wait(4_000)).toHaveLength(1)
      expect(peer.wait(120_000)).toHaveLength(2)
      expect(connection.state).toBe('CLOSED')
    }))

  test('a full accept queue drops the last ACK, and the SYN, ACK is sent again (as Linux does)', () =>
    withPeer((peer) => {
      const listener = peer.listen(2)
      const { counters, tcp } = peer.host
      const begin = (port: number) => peer.say({ flags: SYN, seq: PEER_ISS, port })[0]!.seq
      const complete = (port: number, iss: Seq) =>
        peer.say({ flags: ACK, seq: seqAdd(PEER_ISS, 1), ack: seqAdd(iss, 1), port })
      for (const port of [5_001, 5_002]) complete(port, begin(port))
      // Full is one more than the backlog: two handshakes may be under way before it.
      const [third, fourth] = [begin(5_003), begin(5_004)]
      complete(5_003, third)
      expect(complete(5_004, fourth)).toEqual([])
      expect([listener.accepted.length, listener.pending.size, counters.TcpExtListenOverflows]).toEqual([3, 1, 1])
      expect(peer.say({ flags: SYN, seq: PEER_ISS, port: 5_005 })).toEqual([])
      tcp.abort(listener.accepted.shift()!, peer.world.now)
      peer.heard()
      expect(peer.wait(1_100)).toMatchObject([{ text: 'S.', seq: fourth }])
      complete(5_004, fourth)
      expect([listener.accepted.length, listener.pending.size]).toEqual([3, 0])
      for (const connection of listener.accepted.splice(0)) peer.host.tcp.abort(connection, peer.world.now)
    }))
})

describe.each(SYNCHRONIZED)('%s', (state) => {
  test('first, what lies outside the window is answered by an ACK and not used (RFC 9293 §3.10.7.4)', () =>
    withPeer((peer) => {
      const connection = reach(peer, state)
      const before = connection.rcv.nxt
      const [reply] = peer.say({ flags: ACK, seq: seqAdd(peer.nxt, -500), data: data(10) })
      expect(reply).toMatchObject({ text: '.', ack: before })
      expect([connection.state, connection.rcv.nxt]).toEqual([state, before])
    }))

  test('second, an RST in the window but not at its edge gets a challenge (RFC 5961 §3)', () =>
    withPeer((peer) => {
      const connection = reach(peer, state)
      expect(peer.say({ flags: RST, seq: seqAdd(peer.nxt, 1) })[0]).toMatchObject({ text: '.' })
      expect(connection.state).toBe(state)
    }))

  test('second, an RST outside the window is dropped without an answer', () =>
    withPeer((peer) => {
      const connection = reach(peer, state)
      expect(peer.say({ flags: RST, seq: seqAdd(peer.nxt, -1) })).toEqual([])
      expect(connection.state).toBe(state)
    }))

  test('second, an RST at the edge resets, but does not assassinate TIME-WAIT (RFC 1337)', () =>
    withPeer((peer) => {
      const connection = reach(peer, state)
      peer.say({ flags: RST })
      expect(connection.state).toBe(state === 'TIME-WAIT' ? 'TIME-WAIT' : 'CLOSED')
    }))

  test('fourth, a SYN gets a challenge (RFC 5961 §4)', () =>
    withPeer((peer) => {
      const connection = reach(peer, state)
      if (state === 'TIME-WAIT') peer.host.tcp.listeners.clear()
      expect(peer.say({ flags: SYN, seq: seqAdd(peer.nxt, 5) })[0]).toMatchObject({ text: '.' })
      expect(connection.state).toBe(state)
    }))

  test('fifth, a segment without ACK is dropped', () =>
    withPeer((peer) => {
      const connection = reach(peer, state)
      expect(peer.say({ flags: PSH, data: data(5) })).toEqual([])
      expect(connection.rcv.nxt).toBe(peer.nxt)
    }))

  test('fifth, an ACK of what was never sent, or far too old, gets a challenge (RFC 5961 §5)', () =>
    withPeer((peer) => {
      reach(peer, state)
      expect(peer.say({ flags: ACK, ack: seqAdd(peer.expects, 100) })[0]).toMatchObject({ text: '.' })
      peer.wait(500)
      expect(peer.say({ flags: ACK, ack: seqAdd(peer.expects, -100_000) })[0]).toMatchObject({ text: '.' })
    }))

  test('seventh and eighth, text and FIN are taken where they can come', () =>
    withPeer((peer) => {
      const connection = reach(peer, state)
      const { nxt } = peer
      peer.say({ flags: ACK | FIN, data: data(100) })
      const next: Partial<Record<TcpState, TcpState>> = {
        ESTABLISHED: 'CLOSE-WAIT',
        'FIN-WAIT-1': 'CLOSING',
        'FIN-WAIT-2': 'TIME-WAIT',
      }
      expect(connection.state).toBe(next[state] ?? state)
      expect(connection.rcv.nxt).toBe(next[state] === undefined ? nxt : seqAdd(nxt, 101))
    }))
})

describe('closing', () => {
  test('FIN is sent again in FIN-WAIT-1, and an orphan is given up after its retries', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      letGo(peer.host.tcp, connection, peer.world.now)
      expect(peer.wait(1)[0]!.text).toBe('F.')
      expect(peer.wait(2_000).filter(({ text }) => text === 'F.').length).toBeGreaterThan(1)
      peer.wait(400_000)
      expect(connection.state).toBe('CLOSED')
    }))

  test('TIME-WAIT ends after 2 MSL, and the peer’s FIN begins it anew', () =>
    withPeer((peer) => {
      const connection = reach(peer, 'TIME-WAIT')
      peer.wait(50_000)
      expect(peer.say({ flags: FIN | ACK, seq: seqAdd(peer.nxt, -1) })[0]!.text).toBe('.')
      peer.wait(50_000)
      expect(connection.state).toBe('TIME-WAIT')
      peer.wait(11_000)
      expect(connection.state).toBe('CLOSED')
    }))

  test('a newer SYN takes the place of TIME-WAIT, with a number beyond the old ones (RFC 6191)', () =>
    withPeer((peer) => {
      const old = reach(peer, 'TIME-WAIT')
      const [reply] = peer.say({ flags: SYN, seq: seqAdd(peer.nxt, 1_000) })
      expect(reply!.text).toBe('S.')
      expect(seqAdd(reply!.seq, -65_537)).toBe(old.snd.nxt)
      expect(peer.host.counters.TcpExtTWRecycled).toBe(1)
    }))

  test('data for a program that is gone gets an RST (RFC 1122 §4.2.2.13)', () =>
    withPeer((peer) => {
      const connection = peer.establish()
      letGo(peer.host.tcp, connection, peer.world.now)
      peer.wait(1)
      expect(peer.say({ flags: ACK, data: data(10) }).map(({ text }) => text)).toContain('R.')
      expect(connection.state).toBe('CLOSED')
    }))
})

describe('random segments', () => {
  const flags = fc.constantFrom(0, ACK, ACK | PSH, SYN, SYN | ACK, FIN, FIN | ACK, RST, RST | ACK, SYN | FIN, 0x1ff)
  const near = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.integer({ min: -70_000, max: 70_000 }), fc.integer())
  const segments = fc.array(
    fc.record({
      flags,
      seq: near,
      ack: near,
      window: fc.constantFrom(0, 1, 500, 65_535),
      length: fc.constantFrom(0, 0, 1, 100, 1_400),
      sack: fc.array(fc.tuple(near, near), { maxLength: 3 }),
      wait: fc.constantFrom(0, 0, 0, 50, 1_000),
    }),
    { maxLength: 25 },
  )

  property.prop([fc.constantFrom(...STATES), segments], { numRuns: 300 })(
    'break no assertion, keep no page, and leave only legal states',
    (state, script) =>
      withPeer((peer) => {
        const connection = reach(peer, state)
        if (connection.state === 'ESTABLISHED') connection.sendQueue.append(data(5_000), 0, 5_000)
        peer.host.tcp.owe(connection)
        for (const step of script) {
          const { snd, rcv } = connection
          peer.say({
            flags: step.flags,
            seq: seqAdd(rcv.nxt, step.seq),
            ack: seqAdd(snd.una, step.ack),
            window: step.window,
            data: data(step.length),
            options: { sack: step.sack.map(([a, b]) => [seqAdd(snd.una, a), seqAdd(snd.una, b)] as const) },
          })
          if (step.wait > 0) peer.wait(step.wait)
          expect(connection.board.flight).toBeGreaterThanOrEqual(0)
          expect(connection.receiveQueue.chargedBytes).toBeLessThan(2_000_000)
        }
      }),
  )
})

test('a transition that RFC 9293 figure 5 does not have is a bug, and asserted', () =>
  withPeer((peer) => {
    const connection = reach(peer, 'ESTABLISHED')
    expect(() => setState(connection, 'TIME-WAIT')).toThrow('from ESTABLISHED to TIME-WAIT')
  }))
