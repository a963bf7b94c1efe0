// What a listener does with a segment (RFC 9293 §3.10.7.2): a SYN becomes a connection in SYN-RECEIVED, or a cookie
// where the SYN queue is full (RFC 4987); the ACK of a cookie becomes a connection.

import type { Packet } from '../buf/packet.ts'
import type { Drop } from '../counters.ts'
import type { Way } from '../ip/seams.ts'
import { type Micros, NEVER, seconds } from '../time.ts'
import { seqAdd } from '../wire/sequence.ts'
import { ACK, FIN, RST, SYN } from '../wire/tcp.ts'
import { TcpOptions } from '../wire/tcp-options.ts'
import { initialWindow } from './congestion.ts'
import { type Connection, setState } from './connection.ts'
import type { Segment } from './environment.ts'
import { segmentArrives, takeSynOptions } from './input.ts'
import type { Listener } from './listener.ts'
import { defaultMss, mssFor, takePeerMss } from './mss.ts'
import { make } from './open.ts'
import { segmentWith } from './stray.ts'
import { optionsOfStamp, stampWithOptions } from './syn-cookies.ts'
import type { SegmentEnds, Tcp } from './tcp.ts'
import { timestampAt } from './timestamp.ts'
import { windowScaleFor } from './window.ts'

/** A cookie comes back within this time, or not at all: before and after, an ACK cannot make a connection. */
const COOKIE_LIFETIME = seconds(128)

const cookieOptions = new TcpOptions()

/** The packet stays the caller's where a Drop is returned. 'tcpNoConnection' asks for RST. */
export function listenArrives(
  tcp: Tcp,
  listener: Listener,
  segment: Segment,
  packet: Packet,
  ends: SegmentEnds,
  now: Micros,
): Drop | undefined {
  // First, check for a RST.
  if (segment.has(RST)) return 'tcpResetOutOfPlace'
  // Second, check for an ACK: none is acceptable, but that of a cookie.
  if (segment.has(ACK)) {
    return segment.has(SYN) ? 'tcpNoConnection' : acceptCookie(tcp, listener, segment, packet, ends, now)
  }
  // Third, check for a SYN; fourth, anything else is dropped.
  if (!segment.has(SYN)) return 'tcpNoAck'
  if (segment.has(FIN)) return 'tcpUnexpectedSyn'
  if (listener.acceptQueueFull) {
    tcp.counters.TcpExtListenOverflows++
    tcp.counters.TcpExtListenDrops++
    return 'tcpListenFull'
  }
  const way = wayBack(tcp, ends, packet.interfaceIndex)
  if (way === null) return 'noRoute'
  if (listener.synQueueFull) {
    listener.cookieAt = now
    sendCookie(tcp, listener, segment, ends, way, now)
    packet.release()
    return undefined
  }
  const connection = make(tcp, ends, way, listener.options, true, now, ends.successorIss)
  if (connection === null) return 'tcpListenFull'
  beginPassive(connection, listener, segment, packet.interfaceIndex)
  takeSynOptions(tcp, connection, segment, now)
  connection.snd.maxWnd = segment.window
  connection.lastReceivedAt = now
  connection.synOwed = true
  tcp.owe(connection)
  packet.release()
  return undefined
}

function beginPassive(connection: Connection, listener: Listener, segment: Segment, interfaceIndex: number): void {
  const { rcv, snd } = connection
  setState(connection, 'SYN-RECEIVED')
  connection.listener = listener
  if (connection.remoteAddress.isLinkLocal && connection.remoteAddress.family === 6) {
    connection.interfaceIndex = interfaceIndex
  }
  listener.pending.add(connection)
  rcv.irs = segment.seq
  rcv.nxt = seqAdd(segment.seq, 1)
  rcv.acked = rcv.nxt
  rcv.edge = seqAdd(rcv.nxt, Math.min(connection.receiveLimit, 0xffff))
  snd.wnd = segment.window
  snd.wl1 = segment.seq
}

/** The final ACK of a handshake that left no trace here (RFC 4987 §3.6). */
function acceptCookie(
  tcp: Tcp,
  listener: Listener,
  segment: Segment,
  packet: Packet,
  ends: SegmentEnds,
  now: Micros,
): Drop | undefined {
  if (listener.cookieAt === NEVER || now - listener.cookieAt > COOKIE_LIFETIME) return 'tcpNoConnection'
  const { local, localPort, remote, remotePort } = ends
  const irs = seqAdd(segment.seq, -1)
  const iss = seqAdd(segment.ack, -1)
  const mss = tcp.cookies.check(local, localPort, remote, remotePort, irs, iss, now)
  if (mss === 0) {
    tcp.counters.TcpExtSyncookiesFailed++
    return 'tcpNoConnection'
  }
  if (listener.acceptQueueFull) {
    tcp.counters.TcpExtListenOverflows++
    return 'tcpListenFull'
  }
  const way = wayBack(tcp, ends, packet.interfaceIndex)
  if (way === null) return 'noRoute'
  const connection = make(tcp, ends, way, listener.options, true, now, iss)
  if (connection === null) return 'tcpListenFull'
  tcp.counters.TcpExtSyncookiesRecv++
  const begin = segment.seq
  segment.seq = irs
  beginPassive(connection, listener, segment, packet.interfaceIndex)
  segment.seq = begin
  connection.snd.nxt = segment.ack
  takeCookieOptions(tcp, connection, segment, mss, now)
  const outcome = segmentArrives(tcp, connection, segment, packet, now)
  if (outcome === 'kept') return undefined
  if (outcome !== 'handled') return outcome
  packet.release()
  return undefined
}

/** What the SYN had agreed on, out of the cookie and the time stamp that came back. */
function takeCookieOptions(tcp: Tcp, connection: Connection, segment: Segment, mss: number, now: Micros): void {
  const { options } = segment
  const { rcv, snd, window } = connection
  rcv.windowScale = 0
  if (tcp.config.timestamps && options.timestamps) {
    const carried = optionsOfStamp(options.timestampEcho)
    connection.timestampsOn = true
    connection.tsRecent = options.timestampValue
    connection.tsRecentAt = now
    connection.sackOn = tcp.config.sack && carried.sackPermitted
    if (tcp.config.windowScaling && carried.windowScale >= 0) {
      connection.windowScalingOn = true
      snd.windowScale = carried.windowScale
      rcv.windowScale = cookieWindowScale(tcp)
    }
  }
  takePeerMss(tcp, connection, mss, now)
  window.cwnd = initialWindow(snd.mss)
}

/** What every cookie offers: nothing remembers anything else. */
const cookieWindowScale = (tcp: Tcp): number => windowScaleFor(tcp.config.rmem[2])

/** SYN, ACK without a connection behind it: its sequence number remembers the MSS, its time stamp the other options. */
function sendCookie(tcp: Tcp, listener: Listener, segment: Segment, ends: SegmentEnds, way: Way, now: Micros): void {
  const { local, localPort, remote, remotePort } = ends
  const { options } = segment
  const mss = options.mss > 0 ? options.mss : defaultMss(remote.family)
  const cookie = tcp.cookies.make(local, localPort, remote, remotePort, segment.seq, mss, now)
  cookieOptions.clear()
  cookieOptions.mss = mssFor(way, listener.options)
  if (tcp.config.timestamps && options.timestamps) {
    const windowScale = tcp.config.windowScaling ? options.windowScale : -1
    const sackPermitted = tcp.config.sack && options.sackPermitted
    cookieOptions.timestamps = true
    cookieOptions.timestampValue = stampWithOptions(timestampAt(now, tcp.timestampOffset(ends)), {
      windowScale,
      sackPermitted,
    })
    cookieOptions.timestampEcho = options.timestampValue
    cookieOptions.sackPermitted = sackPermitted
    if (windowScale >= 0) cookieOptions.windowScale = cookieWindowScale(tcp)
  }
  const fields = { seq: cookie, ack: seqAdd(segment.seq, 1), flags: SYN | ACK, window: 0xffff }
  const packet = segmentWith(tcp.pool, ends, fields, cookieOptions)
  if (packet === null) return
  tcp.counters.TcpExtSyncookiesSent++
  tcp.counters.TcpExtTCPReqQFullDoCookies++
  tcp.sendStray(packet, way, now)
}

function wayBack(tcp: Tcp, ends: SegmentEnds, interfaceIndex: number): Way | null {
  const index = ends.remote.isLinkLocal && ends.remote.family === 6 ? interfaceIndex : 0
  const way = tcp.outputFor(ends.remote).resolve(ends.remote, { source: ends.local, interfaceIndex: index })
  return typeof way === 'string' ? null : way
}
