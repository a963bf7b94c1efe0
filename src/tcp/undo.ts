// A recovery that was needless is taken back: seen by time stamps (RFC 3522, RFC 4015), by D-SACK (RFC 3708), or after
// a time-out by F-RTO (RFC 5682). recovery.ts asks after each ACK.

import type { Micros } from '../time.ts'
import { seqAdd, seqAfter, seqAtMost } from '../wire/sequence.ts'
import type { AckContext } from './ack-context.ts'
import type { Connection } from './connection.ts'
import type { TcpEnvironment } from './environment.ts'

/** RFC 5682 §3.1, with SACK, and §2.1, without: the first ACKs after a time-out tell whether it was spurious. */
export function checkFrto(env: TcpEnvironment, connection: Connection, ack: AckContext, now: Micros): void {
  if (connection.frto === 0) return
  const { delivery } = ack
  const { originalEnd } = delivery
  // Without SACK nobody knows what had arrived before the time-out, unless nothing that was sent again is acknowledged.
  const clear = connection.sackOn || !delivery.ackedRetransmitted
  if (originalEnd !== null && clear && ack.advanced && seqAtMost(originalEnd, connection.recoveryPoint)) {
    env.counters.TcpExtTCPSpuriousRTOs++
    restore(connection)
    connection.control.undone(connection.window, now)
    return
  }
  if (connection.frto === 2) {
    // RFC 5682 §2.1 step 3a: the new data arrived beyond a hole: the loss was real.
    if (!ack.advanced && (delivery.bytes > 0 || ack.pure)) connection.frto = 0
    return
  }
  if (!ack.advanced) {
    if (!connection.sackOn && ack.pure) connection.frto = 0
    return
  }
  const { sendQueue, snd } = connection
  const hasNew = seqAfter(sendQueue.end, snd.nxt) && seqAfter(seqAdd(snd.una, snd.wnd), snd.nxt)
  connection.frto = hasNew ? 2 : 0
}

/** All that was sent again had arrived: by time stamps the original was acknowledged, or D-SACK reports each copy. */
export function mayUndo(connection: Connection, ack: AckContext): boolean {
  if (connection.window.priorCwnd === 0) return false
  const { retransmitStamp } = connection
  const { options } = ack.segment
  const byStamp =
    connection.phase !== 'open' &&
    connection.timestampsOn &&
    retransmitStamp !== null &&
    ack.advanced &&
    options.timestamps &&
    ((options.timestampEcho - retransmitStamp) | 0) < 0
  // D-SACK comes a round trip later, when the recovery may be over.
  return byStamp || (connection.undoBytes === 0 && ack.duplicate !== null && retransmitStamp !== null)
}

export function undo(env: TcpEnvironment, connection: Connection, now: Micros): void {
  if (connection.phase === 'loss') env.counters.TcpExtTCPLossUndo++
  else {
    env.counters.TcpExtTCPFullUndo++
    // What looked lost was late.
    connection.reorderingSeen = true
    connection.reorderingEvents++
  }
  restore(connection)
  connection.control.undone(connection.window, now)
}

function restore(connection: Connection): void {
  const { board, window } = connection
  window.cwnd = Math.max(window.cwnd, window.priorCwnd)
  window.ssthresh = Math.max(window.ssthresh, window.priorSsthresh)
  window.priorCwnd = 0
  connection.phase = 'open'
  connection.frto = 0
  connection.undoBytes = -1
  connection.retransmitStamp = null
  connection.duplicateAcks = 0
  connection.rtt.resume()
  board.unassume(board.assumedBytes)
  board.clearLost()
}
