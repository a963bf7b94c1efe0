// What holds for a connection whatever anybody sends: siege.ts asks after each blow.

import { type Connection, canReceive, canSend, isSynchronized } from '../../src/tcp/connection.ts'
import { MAX_HOLES } from '../../src/tcp/receive-queue.ts'
import type { Scoreboard, SentSegment } from '../../src/tcp/scoreboard.ts'
import { NEVER } from '../../src/time.ts'
import { seqAdd, seqAfter, seqDiff } from '../../src/wire/sequence.ts'

const LEAST_RTO = 200_000
const MOST_RTO = 120_000_000

/** What is wrong with a connection after its output; '' when nothing is. */
export function violationOf(connection: Connection): string {
  const wrong =
    numbersOf(connection) || boardOf(connection) || receiverOf(connection) || timersOf(connection) || heapOf(connection)
  return wrong === '' ? '' : `${connection.state} ${connection.remoteAddress}:${connection.remotePort}: ${wrong}`
}

function numbersOf({ rtt, sendQueue, snd, state, window, finSent }: Connection): string {
  if (seqDiff(snd.nxt, snd.una) < 0) return `SND.UNA ${snd.una} is beyond SND.NXT ${snd.nxt}`
  if (isSynchronized(state) && state !== 'TIME-WAIT') {
    if (seqDiff(snd.nxt, sendQueue.end) > (finSent ? 1 : 0)) return 'more was sent than was written'
    if (finSent && !sendQueue.finQueued) return 'FIN was sent unasked'
    if (canSend(state) && sendQueue.finQueued) return `FIN is queued in ${state}`
  }
  for (const [name, value] of [
    ['cwnd', window.cwnd],
    ['mss', snd.mss],
    ['wnd', snd.wnd],
    ['RTO', rtt.rto],
  ] as const) {
    if (!Number.isSafeInteger(value)) return `${name} is ${value}`
  }
  if (snd.mss < 1 || window.cwnd < 1 || snd.wnd < 0) return `mss ${snd.mss}, cwnd ${window.cwnd}, wnd ${snd.wnd}`
  if (Number.isNaN(window.ssthresh) || window.ssthresh <= 0) return `ssthresh is ${window.ssthresh}`
  return rtt.rto < LEAST_RTO || rtt.rto > MOST_RTO ? `RTO is ${rtt.rto}` : ''
}

function boardOf({ board, snd, state }: Connection): string {
  let [length, sacked, lost, flying] = [0, 0, 0, 0]
  let before: SentSegment | null = null
  for (let segment = board.first; segment !== null; segment = segment.next) {
    if (segment.length <= 0) return 'an empty segment on the board'
    if (segment.previous !== before) return 'a wrong link on the board'
    if (before !== null && before.end !== segment.start) return 'a gap on the board'
    if (segment.sacked && segment.lost) return 'a segment is both lost and sacked'
    length++
    if (segment.sacked) sacked += segment.length
    else if (segment.lost) lost += segment.length
    else flying++
    before = segment
  }
  if (board.last !== before || board.length !== length)
    return `the board has ${length} segments, and says ${board.length}`
  if (board.sackedBytes !== sacked || board.lostBytes !== lost)
    return `sacked ${sacked}, lost ${lost}: not what it says`
  if (board.assumedBytes < 0 || board.flight < 0) return `flight ${board.flight}, assumed ${board.assumedBytes}`
  if (board.first !== null && (board.first.start !== snd.una || board.last!.end !== snd.nxt)) {
    return 'the board does not reach from SND.UNA to SND.NXT'
  }
  if (board.first === null && isSynchronized(state) && snd.una !== snd.nxt)
    return 'what is in flight is not on the board'
  return flightOf(board, flying)
}

function flightOf(board: Scoreboard, flying: number): string {
  let count = 0
  let before: SentSegment | null = null
  for (let segment = board.oldest; segment !== null && count <= flying; segment = segment.newer) {
    if (segment.older !== before) return 'a wrong link in flight'
    if (before !== null && before.sentAt > segment.sentAt) return 'the flight is out of order'
    if (segment.sacked || segment.lost) return 'what flies was sacked, or lost'
    count++
    before = segment
  }
  return count === flying ? '' : `${count} segments fly instead of ${flying}`
}

function receiverOf({ options, rcv, receiveLimit, receiveQueue, state }: Connection): string {
  const { available, chargedBytes, holes, outOfOrderBytes } = receiveQueue
  if (available < 0 || outOfOrderBytes < 0 || chargedBytes < 0) return 'less than nothing was received'
  if (holes > MAX_HOLES) return `${holes} holes`
  if (!isSynchronized(state)) return ''
  if (seqDiff(rcv.edge, rcv.nxt) < 0) return 'RCV.NXT is beyond the edge'
  if (canReceive(state) && outOfOrderBytes > rcv.wnd)
    return `${outOfOrderBytes} bytes beyond holes in a window of ${rcv.wnd}`
  if (receiveLimit > options.receiveBytes) return `a buffer of ${receiveLimit}`
  if (rcv.finSeen && canReceive(state)) return `FIN was taken in ${state}`
  return chargedBytes > 4 * receiveLimit + 600_000 ? `${chargedBytes} bytes of pages` : ''
}

/** Whatever waits for something has a timer that ends the waiting. */
function timersOf(connection: Connection): string {
  const { board, finSent, sendQueue, snd, state, timers } = connection
  if (state === 'CLOSED') return timers.least() === NEVER ? '' : 'a timer runs after the end'
  if (state === 'TIME-WAIT') return timers.timeWaitAt === NEVER ? 'TIME-WAIT for ever' : ''
  if (state === 'FIN-WAIT-2' && connection.orphaned && timers.timeWaitAt === NEVER) return 'an orphan for ever'
  if (!isSynchronized(state)) return timers.retransmitAt === NEVER ? 'no SYN will be sent again' : ''
  if (board.first !== null) {
    return Math.min(timers.retransmitAt, timers.resumeAt) === NEVER ? 'data in flight and no time-out' : ''
  }
  const waits = seqAfter(sendQueue.end, snd.nxt) || (sendQueue.finQueued && !finSent)
  if (!waits) return ''
  const wakes = Math.min(timers.persistAt, timers.retransmitAt, timers.resumeAt, timers.paceAt)
  return wakes === NEVER ? `${seqDiff(sendQueue.end, snd.nxt)} bytes wait for ever, window ${snd.wnd}` : ''
}

function heapOf(connection: Connection): string {
  if (connection.state === 'CLOSED') return ''
  const { deadlineAt, scheduledAt, timers } = connection
  if (deadlineAt > timers.least()) return 'a timer is armed and nobody scheduled it'
  return scheduledAt > deadlineAt ? 'the heap does not know of a deadline' : ''
}

/** Where segments of a connection may begin that are worth a try: the edges of what it knows. */
export function edgesOf(connection: Connection): number[] {
  const { rcv } = connection
  const edges: number[] = [rcv.nxt, rcv.nxt, rcv.nxt, rcv.nxt, rcv.edge, rcv.irs, rcv.acked, seqAdd(rcv.nxt, -1)]
  if (rcv.finAt !== null) edges.push(rcv.finAt)
  for (const { left, right } of connection.receiveQueue.sackRanges(4)) edges.push(left, right)
  return edges
}

/** Acknowledgment numbers that are worth a try. */
export function acksOf({ board, sendQueue, snd }: Connection): number[] {
  const acks: number[] = [snd.nxt, snd.nxt, snd.nxt, snd.nxt, snd.una, snd.iss, sendQueue.end]
  if (board.first !== null) acks.push(board.first.end, board.last!.start)
  return acks
}
