// The timers of a connection are fields (connection.ts); this file arms them and does what is due: retransmission
// (RFC 6298), tail loss probes and reordering (RFC 8985), zero-window probes (RFC 9293 §3.8.6.1), keep-alive
// (§3.8.4), delayed ACKs, TIME-WAIT.

import { after, type Micros, micros, millis, NEVER } from '../time.ts'
import { seqAdd, seqDiff } from '../wire/sequence.ts'
import { type Connection, isSynchronized } from './connection.ts'
import type { TcpEnvironment } from './environment.ts'
import { detectLoss, enterLoss } from './recovery.ts'
import { MAX_RTO } from './rtt.ts'

/** RFC 8985 §7.2: the receiver's delayed ACK, when only one segment is in flight. */
const WORST_DELAYED_ACK = millis(200)
/** RFC 8985 §7.2: without a round-trip time. */
const FIRST_PROBE = millis(1_000)

export function armRetransmit(connection: Connection, now: Micros): void {
  connection.timers.retransmitAt = after(now, connection.rtt.rto)
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
  if (!connection.sackOn || connection.phase !== 'open' || board.sackedBytes > 0 || connection.tlpEnd !== null) return
  if (board.first === null || !isSynchronized(connection.state)) return
  let timeout: number = FIRST_PROBE
  if (rtt.srtt > 0) {
    timeout = 2 * rtt.srtt + 2_000
    if (board.length === 1) timeout += WORST_DELAYED_ACK
  }
  const at = micros(now + timeout)
  if (at < timers.retransmitAt) timers.probeAt = at
  else timers.probeAt = NEVER
}

/** RFC 9293 §3.8.6.1: the first probe after a retransmission time-out. */
export function armPersist(connection: Connection, now: Micros): void {
  if (connection.timers.persistAt !== NEVER || connection.timers.retransmitAt !== NEVER) return
  connection.timers.persistAt = after(now, connection.rtt.rto)
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
    env.owe(connection)
  }
  if (timers.reorderAt <= now) {
    timers.reorderAt = NEVER
    detectLoss(env, connection, now)
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
  connection.retransmits++
  env.counters.TcpExtTCPTimeouts++
  if (isExhausted(env, connection, now)) return env.close(connection, connection.softError ?? 'ETIMEDOUT')
  if (state === 'SYN-SENT' || state === 'SYN-RECEIVED') {
    rtt.backOff()
    connection.synOwed = true
    connection.totalRetransmits++
    env.counters.TcpRetransSegs++
    if (connection.retransmits > 0) connection.window.cwnd = connection.snd.mss
    return env.owe(connection)
  }
  enterLoss(env, connection, now)
  rtt.backOff()
  connection.timers.retransmitAt = after(now, rtt.rto)
  env.owe(connection)
}

function isExhausted(env: TcpEnvironment, connection: Connection, now: Micros): boolean {
  const { options, state, unackedSince } = connection
  if (options.userTimeout > 0 && unackedSince !== NEVER && now - unackedSince >= options.userTimeout) return true
  const { config } = env
  if (state === 'SYN-SENT') return connection.retransmits > config.synRetries
  if (state === 'SYN-RECEIVED') return connection.retransmits > config.synAckRetries
  return connection.retransmits > (connection.orphaned ? config.orphanRetries : config.dataRetries)
}

/** RFC 8985 §7.3: new data if there is some and the window lets it, else the last segment again. */
function tailLossProbe(env: TcpEnvironment, connection: Connection, now: Micros): void {
  const { board, timers, snd } = connection
  timers.probeAt = NEVER
  if (connection.phase !== 'open' || board.last === null || connection.tlpEnd !== null) return
  const hasNew = seqDiff(connection.sendQueue.end, snd.nxt) > 0 && seqDiff(seqAdd(snd.una, snd.wnd), snd.nxt) >= snd.mss
  env.counters.TcpExtTCPLossProbes++
  connection.tlpEnd = snd.nxt
  connection.tlpIsRetransmit = !hasNew
  if (hasNew) connection.window.cwnd += snd.mss
  else {
    const { last } = board
    if (last.length > snd.mss) board.split(last, seqAdd(last.start, last.length - snd.mss))
    board.markLost(board.last)
  }
  timers.retransmitAt = after(now, connection.rtt.rto)
  env.owe(connection)
}

/** RFC 9293 §3.8.6.1, MUST-35: as long as the peer answers, for ever. */
function probeWindow(env: TcpEnvironment, connection: Connection, now: Micros): void {
  const { timers, rtt, options, snd } = connection
  timers.persistAt = NEVER
  if (snd.wnd > 0 && seqDiff(snd.nxt, snd.una) > 0) return
  if (seqDiff(connection.sendQueue.end, snd.nxt) <= 0 && !connection.sendQueue.finQueued) return
  const silentFor = now - connection.lastReceivedAt
  const isLost =
    options.userTimeout > 0 ? silentFor >= options.userTimeout : connection.probesSent > env.config.dataRetries
  if (isLost || (connection.orphaned && connection.probesSent > env.config.orphanRetries)) {
    return env.close(connection, connection.softError ?? 'ETIMEDOUT')
  }
  connection.probesSent++
  connection.probeOwed = true
  const wait = Math.min(MAX_RTO, rtt.rto * 2 ** Math.min(connection.probesSent, 12))
  timers.persistAt = micros(now + wait)
  env.owe(connection)
}

/** RFC 9293 §3.8.4: an ACK for what was acknowledged already asks for an answer. */
function keepAlive(env: TcpEnvironment, connection: Connection, now: Micros): void {
  const { options, timers } = connection
  timers.keepAliveAt = NEVER
  if (!options.keepAlive) return
  const idleFor = now - connection.lastReceivedAt
  if (idleFor < options.keepAliveIdle && connection.keepAliveProbes === 0) {
    timers.keepAliveAt = after(connection.lastReceivedAt, options.keepAliveIdle)
    return
  }
  if (connection.keepAliveProbes >= options.keepAliveCount) {
    env.counters.TcpExtTCPAbortOnTimeout++
    return env.close(connection, 'ETIMEDOUT')
  }
  connection.keepAliveProbes++
  env.counters.TcpExtTCPKeepAlive++
  connection.probeOwed = true
  timers.keepAliveAt = after(now, options.keepAliveInterval)
  env.owe(connection)
}
