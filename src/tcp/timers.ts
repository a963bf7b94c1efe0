// The timers of a connection are deadlines (instants.ts); this file arms them and does what is due: retransmission
// (RFC 6298), tail loss probes and reordering (RFC 8985), zero-window probes (RFC 9293 §3.8.6.1), keep-alive
// (§3.8.4), delayed ACKs, TIME-WAIT.

import { after, type Micros, micros, millis, NEVER } from '../time.ts'
import { seqAdd, seqAfter, seqDiff } from '../wire/sequence.ts'
import { type Connection, EVENT_DELIVERY, EVENT_WRITABLE, isSynchronized } from './connection.ts'
import type { TcpEnvironment } from './environment.ts'
import { suspectBlackHole } from './mss.ts'
import { enterLoss, reorderTimeout } from './recovery.ts'
import { MAX_RTO } from './rtt.ts'

/** RFC 8985 §7.2: the receiver's delayed ACK, when only one segment is in flight. */
const WORST_DELAYED_ACK = millis(200)
/** RFC 8985 §7.2: without a round-trip time. */
const FIRST_PROBE = millis(1_000)
/** Linux's TCP_TIMEOUT_MIN, two ticks of its clock: an ACK that is a little late is not yet a lost tail. */
const PROBE_SLACK = millis(2)

/** RFC 9293 §3.8.3, SHLD-10: repetitions after which the path is doubted and the program hears of it (SHLD-9). */
const R1 = 3
/** Linux's tcp(7): a ceiling of 200 milliseconds on the time for which output is corked. */
const MOST_CORKED = millis(200)

export function armRetransmit(connection: Connection, now: Micros): void {
  const { options, rtt, timers, unackedSince } = connection
  timers.retransmitAt = after(now, rtt.rto)
  if (options.userTimeout === 0 || unackedSince === NEVER) return
  // RFC 5482: the end does not wait for a time-out that lies beyond it.
  const end = after(unackedSince, options.userTimeout)
  if (end > now && end < timers.retransmitAt) timers.retransmitAt = end
}

/** After an ACK of new data: the timer begins anew, or stops (RFC 6298 §5.2, §5.3). */
export function rearmRetransmit(connection: Connection, now: Micros): void {
  const { timers, board } = connection
  timers.probeAt = NEVER
  if (board.first === null) {
    timers.retransmitAt = NEVER
    return
  }
  armRetransmit(connection, now)
  armProbe(connection, now)
}

/** RFC 8985 §7.2: when to probe for a lost tail. */
export function armProbe(connection: Connection, now: Micros): void {
  const { board, rtt, timers } = connection
  timers.probeAt = NEVER
  if (!connection.sackOn || connection.phase !== 'open' || board.sackedBytes > 0 || connection.tlpEnd !== null) return
  if (board.first === null || !isSynchronized(connection.state)) return
  let timeout: number = FIRST_PROBE
  if (rtt.srtt > 0) {
    timeout = 2 * rtt.srtt + PROBE_SLACK
    if (board.outstanding <= connection.snd.mss) timeout += WORST_DELAYED_ACK
  }
  // RFC 8985 §7.2: never later than the time-out, which then waits for the probe.
  const at = micros(now + timeout)
  timers.probeAt = at < timers.retransmitAt ? at : timers.retransmitAt
}

/** RFC 9293 §3.8.6.1: the first probe after a retransmission time-out. What only the cork holds back waits no longer than Linux lets it. */
export function armPersist(connection: Connection, now: Micros): void {
  const { options, rtt, snd, timers } = connection
  if (timers.persistAt !== NEVER || timers.retransmitAt !== NEVER) return
  timers.persistAt = after(now, options.cork && snd.wnd > 0 ? micros(Math.min(rtt.rto, MOST_CORKED)) : rtt.rto)
}

export function armDelayedAck(env: TcpEnvironment, connection: Connection, now: Micros): void {
  if (connection.timers.delayedAckAt === NEVER) connection.timers.delayedAckAt = after(now, env.config.delayedAck)
}

/** Counted from the last segment that came (RFC 9293 §3.8.4). */
export function armKeepAlive(connection: Connection, now: Micros): void {
  const { options, timers } = connection
  timers.keepAliveAt = options.keepAlive && isSynchronized(connection.state) ? after(now, options.keepAliveIdle) : NEVER
}

/** Does all that is due; output is noted, not sent. */
export function runTimers(env: TcpEnvironment, connection: Connection, now: Micros): void {
  const { timers } = connection
  if (timers.timeWaitAt <= now) return env.close(connection, null)
  if (timers.delayedAckAt <= now) {
    timers.delayedAckAt = NEVER
    connection.ackNow = true
    env.counters.TcpExtDelayedACKs++
    env.owe(connection)
  }
  if (timers.resumeAt <= now) {
    timers.resumeAt = NEVER
    if (connection.wantsRoom) env.notify(connection, EVENT_WRITABLE)
    env.owe(connection)
  }
  if (timers.paceAt <= now) {
    timers.paceAt = NEVER
    env.owe(connection)
  }
  if (timers.reorderAt <= now) {
    timers.reorderAt = NEVER
    reorderTimeout(env, connection, now)
    env.owe(connection)
  }
  if (timers.probeAt <= now) tailLossProbe(env, connection, now)
  if (timers.persistAt <= now) probeWindow(env, connection, now)
  if (timers.keepAliveAt <= now) keepAlive(env, connection, now)
  if (connection.state !== 'CLOSED' && timers.retransmitAt <= now) retransmitTimeout(env, connection, now)
  env.schedule(connection)
}

/** RFC 6298 §5.4 and following; RFC 9293 §3.8.3 says when to give up. */
function retransmitTimeout(env: TcpEnvironment, connection: Connection, now: Micros): void {
  const { state, timers, rtt } = connection
  timers.retransmitAt = NEVER
  timers.probeAt = NEVER
  // RFC 9293 §3.8.6, MUST-35, SHLD-17: beyond a window that the peer took back, data is a probe like any other.
  const isProbe = isBeyondWindow(connection)
  if (isProbe) connection.probesSent++
  else connection.retransmits++
  env.counters.TcpExtTCPTimeouts++
  if (isExhausted(env, connection, now)) {
    if (isSynchronized(state)) env.counters.TcpExtTCPAbortOnTimeout++
    return env.close(connection, connection.softError ?? 'ETIMEDOUT')
  }
  if (connection.retransmits === R1 && !isProbe) {
    env.doubt(connection)
    env.notify(connection, EVENT_DELIVERY)
  }
  if (state === 'SYN-SENT' || state === 'SYN-RECEIVED') {
    rtt.backOff()
    connection.synOwed = true
    connection.totalRetransmits++
    env.counters.TcpRetransSegs++
    if (connection.retransmits > 1) connection.window.cwnd = connection.snd.mss
    return env.owe(connection)
  }
  if (connection.board.first === null) return
  suspectBlackHole(connection, now)
  enterLoss(env, connection, now)
  rtt.backOff()
  armRetransmit(connection, now)
  env.owe(connection)
}

function isExhausted(env: TcpEnvironment, connection: Connection, now: Micros): boolean {
  const { options, state, unackedSince } = connection
  if (options.userTimeout > 0 && unackedSince !== NEVER && now - unackedSince >= options.userTimeout) return true
  const { config } = env
  if (state === 'SYN-SENT') return connection.retransmits > config.synRetries
  if (state === 'SYN-RECEIVED') return connection.retransmits > config.synAckRetries
  // RFC 9293 §3.8.3 (d), MUST-21: the time that the program set takes the place of a count, be it shorter or longer. A program
  // that is gone waits for nothing.
  if (options.userTimeout > 0 && !connection.orphaned) return false
  const most = connection.orphaned ? config.orphanRetries : config.dataRetries
  return connection.retransmits > most || connection.probesSent > most
}

/** Whether the oldest segment in flight reaches beyond the window that the peer offers now. An orphan is not given this patience. */
function isBeyondWindow({ board, orphaned, snd, state }: Connection): boolean {
  return (
    isSynchronized(state) && !orphaned && board.first !== null && seqAfter(board.first.end, seqAdd(snd.una, snd.wnd))
  )
}

/** RFC 8985 §7.3: what is sent, output.ts decides. */
function tailLossProbe(env: TcpEnvironment, connection: Connection, now: Micros): void {
  const { board, timers } = connection
  timers.probeAt = NEVER
  if (connection.phase !== 'open' || board.last === null || connection.tlpEnd !== null) return
  // RFC 8985 §7.2: SACK has told of something meanwhile, and RACK finds what is lost.
  if (board.sackedBytes > 0) return
  // There is more to send, and pacing will: the end of that is the tail.
  if (timers.paceAt !== NEVER) return armProbe(connection, now)
  env.counters.TcpExtTCPLossProbes++
  connection.tlpOwed = true
  armRetransmit(connection, now)
  env.owe(connection)
}

/** RFC 9293 §3.8.6.1, MUST-36: each probe after twice the pause (SHLD-30), and no last one while the peer answers (MUST-37). */
function probeWindow(env: TcpEnvironment, connection: Connection, now: Micros): void {
  const { options, rtt, sendQueue, snd, timers } = connection
  timers.persistAt = NEVER
  if (snd.nxt !== snd.una) return
  const isBlocked = seqDiff(sendQueue.end, snd.nxt) > 0 || (sendQueue.finQueued && !connection.finSent)
  if (!isBlocked) return
  const most = connection.orphaned ? env.config.orphanRetries : env.config.dataRetries
  const isLost =
    connection.probesSent > most ||
    // A peer that keeps it shut to a program that is gone would hold its memory for ever.
    (connection.orphaned && connection.persistBackoffs > most) ||
    (options.userTimeout > 0 && connection.probesSent > 0 && now - connection.lastReceivedAt >= options.userTimeout)
  if (isLost) {
    env.counters.TcpExtTCPAbortOnTimeout++
    return env.close(connection, connection.softError ?? 'ETIMEDOUT')
  }
  env.owe(connection)
  if (snd.wnd > 0) {
    connection.overrideOwed = true
    return
  }
  connection.probesSent++
  connection.persistBackoffs++
  connection.probeOwed = true
  timers.persistAt = micros(now + Math.min(MAX_RTO, rtt.rto * 2 ** connection.persistBackoffs))
  if (options.userTimeout === 0) return
  // RFC 5482: the end does not wait for a probe that lies beyond it.
  const end = after(connection.lastReceivedAt, options.userTimeout)
  if (end > now && end < timers.persistAt) timers.persistAt = end
}

/** RFC 9293 §3.8.4: an ACK for what was acknowledged already asks for an answer. Data in flight asks by itself. */
function keepAlive(env: TcpEnvironment, connection: Connection, now: Micros): void {
  const { options, timers } = connection
  timers.keepAliveAt = NEVER
  if (!options.keepAlive) return
  const idleFor = now - connection.lastReceivedAt
  if (connection.board.first !== null || connection.sendQueue.length > 0) {
    timers.keepAliveAt = after(now, options.keepAliveIdle)
    return
  }
  if (idleFor < options.keepAliveIdle && connection.keepAliveProbes === 0) {
    timers.keepAliveAt = after(connection.lastReceivedAt, options.keepAliveIdle)
    return
  }
  const isLost =
    options.userTimeout > 0
      ? idleFor >= options.userTimeout && connection.keepAliveProbes > 0
      : connection.keepAliveProbes >= options.keepAliveCount
  if (isLost) {
    env.counters.TcpExtTCPAbortOnTimeout++
    return env.abort(connection, now, connection.softError ?? 'ETIMEDOUT')
  }
  connection.keepAliveProbes++
  env.counters.TcpExtTCPKeepAlive++
  connection.probeOwed = true
  timers.keepAliveAt = after(now, options.keepAliveInterval)
  env.owe(connection)
}
