// A short siege of TCP (siege.ts), and proof that it gets everywhere and notices what it looks for.

import { expect, test } from 'vitest'
import { nonZero } from '../../src/counters.ts'
import { NEVER } from '../../src/time.ts'
import { seqAdd } from '../../src/wire/sequence.ts'
import { testPool } from '../support/pool.ts'
import { besiege } from './siege.ts'
import { violationOf } from './siege-rules.ts'

const SEEDS = [1, 2, 3, 4]
const STATES = ['SYN-SENT', 'SYN-RECEIVED', 'ESTABLISHED', 'FIN-WAIT-1', 'FIN-WAIT-2', 'CLOSE-WAIT']
STATES.push('CLOSING', 'LAST-ACK', 'TIME-WAIT')

test('besieged connections of every state keep their rules, end, and leave nothing behind', { timeout: 60_000 }, () => {
  const states = new Set<string>()
  const counted = new Set<string>()
  for (const seed of SEEDS) {
    const { fault, siege } = besiege({ steps: 2_000, seed, pool: testPool({ trace: false }) })
    expect(fault, `seed ${seed}`).toBe('')
    for (const state of siege.statesHit) states.add(state)
    for (const [name] of nonZero(siege.stack.counters)) counted.add(name)
    siege.stack.close()
  }
  for (const state of STATES) expect(states).toContain(state)
  for (const name of [
    'IpReasmOKs',
    'Ip6ReasmOKs',
    'TcpExtTCPChallengeACK',
    'TcpExtTCPSackRecovery',
    'TcpExtTCPFullUndo',
    'TcpExtTCPLossProbes',
    'TcpExtTCPDSACKRecv',
    'TcpExtTCPOFOQueue',
    'TcpExtPAWSEstab',
    'TcpExtTCPKeepAlive',
    'TcpExtTCPReqQFullDoCookies',
    'TcpExtTCPAbortOnTimeout',
    'drop.tcpHeaderLength',
    'drop.tcpOutOfWindow',
    'drop.tcpBadAck',
    'drop.tcpNoTimestamp',
    'drop.tcpAfterClose',
    'drop.icmpErrorUnmatched',
  ]) {
    expect(counted).toContain(name)
  }
})

test('each rule of the siege notices what breaks it', () => {
  const { fault, siege } = besiege({ steps: 400, seed: 1, pool: testPool({ trace: false }), end: false })
  expect(fault).toBe('')
  const [connection] = [...siege.stack.tcp.demux.values()].filter(
    ({ board, state }) => state === 'ESTABLISHED' && board.first !== null,
  )
  const { board, rcv, snd, timers, window } = connection!
  const broken = (change: () => void, mend: () => void): string => {
    change()
    const wrong = violationOf(connection!)
    mend()
    expect(violationOf(connection!)).toBe('')
    return wrong.replace(/^.*?: /, '')
  }
  const { nxt } = snd
  const { retransmitAt } = timers
  const { cwnd } = window
  const { edge } = rcv
  const { first, sackedBytes } = board
  expect(
    broken(
      () => (snd.nxt = seqAdd(nxt, 1)),
      () => (snd.nxt = nxt),
    ),
  ).toMatch(/^more was sent|^the board does not/)
  expect(
    broken(
      () => (window.cwnd = Number.NaN),
      () => (window.cwnd = cwnd),
    ),
  ).toBe('cwnd is NaN')
  expect(
    broken(
      () => board.sackedBytes++,
      () => (board.sackedBytes = sackedBytes),
    ),
  ).toMatch(/^sacked/)
  expect(
    broken(
      () => (first!.sacked = !first!.sacked),
      () => (first!.sacked = !first!.sacked),
    ),
  ).toMatch(/^sacked|^what flies/)
  expect(
    broken(
      () => (rcv.edge = seqAdd(rcv.nxt, -1)),
      () => (rcv.edge = edge),
    ),
  ).toBe('RCV.NXT is beyond the edge')
  expect(
    broken(
      () => (timers.retransmitAt = NEVER),
      () => (timers.retransmitAt = retransmitAt),
    ),
  ).toBe('data in flight and no time-out')
  expect(siege.aftermath()).toBe('')
  siege.stack.close()
})
