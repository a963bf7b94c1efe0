// Probes for the size of packets that a path carries (RFC 4821 §7.4 to §7.6): segments of data at hand that are larger
// than the others, one at a time. output.ts asks for the next one and sends it; recovery.ts has it judged with each ACK,
// for a probe that is lost alone tells of its size and not of congestion. Without SACK nobody knows what is lost alone:
// there are no probes then, and the limit is forgotten after a while (mtu-search.ts).

import type { Micros } from '../time.ts'
import { seqAtLeast, seqAtMost } from '../wire/sequence.ts'
import type { Connection } from './connection.ts'
import type { TcpEnvironment } from './environment.ts'
import { overheadOf } from './mss.ts'
import type { MtuSearch } from './mtu-search.ts'
import type { Delivery, Scoreboard } from './scoreboard.ts'

/** Segments behind a probe, which tell that it was lost: RACK needs one. */
const FOLLOWERS = 2

/** The payload of the probe that is due; 0: none is, or there is too little to send behind it, or no room for that. */
export function dueProbe(connection: Connection, pending: number, usable: number, now: Micros): number {
  const { board, search, snd, window } = connection
  if (search === null || !connection.sackOn || connection.phase !== 'open' || snd.up !== null) return 0
  if (board.lostBytes > 0 || board.sackedBytes > 0) return 0
  const length = search.next(now) - overheadOf(connection)
  if (length <= snd.mss) return 0
  return Math.min(pending, usable, window.cwnd) < length + FOLLOWERS * snd.mss ? 0 : length
}

/** After each ACK that tells something, and where a timer found loss: true where what is lost is the probe alone. */
export function judgeProbe(
  env: TcpEnvironment,
  connection: Connection,
  delivery: Delivery | null,
  now: Micros,
): boolean {
  const { board, search, snd } = connection
  if (search === null || search.end === null) return false
  if (seqAtLeast(snd.una, search.end)) {
    if (search.failed || delivery === null || delivery.ackedRetransmitted) search.forget(now)
    else {
      env.counters.TcpExtTCPMTUPSuccess++
      search.succeed()
    }
    return false
  }
  const isOpen = connection.phase === 'open'
  if (isOpen && board.lostBytes === 0) return false
  if (!isOpen || !isLostAlone(board, search)) {
    // RFC 4821 §7.6.4: what lost the others may have lost it as well.
    search.forget(now)
    return false
  }
  if (!search.failed) fail(env, search, now)
  return true
}

/** RFC 4821 §7.6.3: a time-out is congestion; and where it was the probe that nobody acknowledged, its size tells too. */
export function probeTimedOut(env: TcpEnvironment, connection: Connection, now: Micros): void {
  const { board, search } = connection
  if (search === null || search.end === null) return
  if (!search.failed && board.first?.start === search.start) fail(env, search, now)
  search.forget(now)
}

function fail(env: TcpEnvironment, search: MtuSearch, now: Micros): void {
  env.counters.TcpExtTCPMTUPFail++
  search.fail(now)
}

/** A piece of it that is lost once more is no matter of size. */
function isLostAlone(board: Scoreboard, { start, end }: MtuSearch): boolean {
  for (let segment = board.first; segment !== null; segment = segment.next) {
    if (!segment.lost) continue
    const isOfProbe = seqAtLeast(segment.start, start) && end !== null && seqAtMost(segment.end, end)
    if (!isOfProbe || segment.retransmissions > 0) return false
  }
  return true
}
