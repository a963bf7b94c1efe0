// How large segments may be: what the peer takes, and what the path carries (RFC 9293 §3.7.1, RFC 1191 §6.4, RFC 8201
// §5.4). The path MTU is learned by src/ip from ICMP errors; where a path swallows large packets without a word,
// repeated time-outs make them smaller (RFC 4821 §7.7), and mtu-search.ts finds out how much larger they may be.

import type { Way } from '../ip/seams.ts'
import type { Micros } from '../time.ts'
import type { Family } from '../wire/address.ts'
import { IPV4_HEADER, IPV4_MAX_PACKET } from '../wire/ipv4.ts'
import { IPV6_HEADER, IPV6_MIN_MTU } from '../wire/ipv6.ts'
import { TCP_HEADER } from '../wire/tcp.ts'
import type { Connection } from './connection.ts'
import type { ConnectionOptions } from './connection-options.ts'
import type { TcpEnvironment } from './environment.ts'
import { MtuSearch } from './mtu-search.ts'

/** No segment is cut smaller than this, whatever a peer says: its header would cost more than it carries (Linux's TCP_MIN_SND_MSS). */
const MIN_PEER_MSS = 48
/** Linux's min_pmtu: a smaller path gets packets of this size that may be fragmented, lest a forged error ruin us. */
const MIN_PATH4 = 552
/** RFC 9293 §3.7.1, MUST-15. */
const DEFAULT_MSS4 = 536
const DEFAULT_MSS6 = 1_220
const TIMESTAMPS_LENGTH = 12
/** What is tried where a path seems to be a black hole: payloads of 1,024 and 536 bytes with IPv4, the least MTU with IPv6. */
const BLACK_HOLE4 = [1_064, 576]
const BLACK_HOLE6 = [IPV6_MIN_MTU]
/** Time-outs before each step down. */
const BLACK_HOLE_TIMEOUTS = 3

const headersFor = (family: Family): number => (family === 4 ? IPV4_HEADER : IPV6_HEADER) + TCP_HEADER

const headersOf = (connection: Connection): number => headersFor(connection.remoteAddress.family)

/** What of each packet is not data. */
export const overheadOf = (connection: Connection): number => headersOf(connection) + optionsOf(connection)

const optionsOf = (connection: Connection): number => (connection.timestampsOn ? TIMESTAMPS_LENGTH : 0)

/** The largest packet that the peer takes. */
const largestFor = (connection: Connection): number => connection.snd.peerMss + headersOf(connection)

/** What our SYN announces: the first link's MTU, or as much of it as a packet can have, without headers (RFC 6691). */
export function announcedMss(env: TcpEnvironment, connection: Connection): number {
  return mssFor(env.refreshWay(connection) ?? connection.way, connection.options)
}

/** The same where there is no connection: for a cookie. */
export function mssFor({ destination, linkMtu }: Way, options: Readonly<ConnectionOptions>): number {
  const { family } = destination
  const most = family === 4 ? Math.min(linkMtu, IPV4_MAX_PACKET) : linkMtu
  return limited(options, Math.max(0, Math.min(most - headersFor(family), 0xffff)))
}

/** The program may want smaller segments than link and peer take. */
function limited({ segmentLimit }: Readonly<ConnectionOptions>, mss: number): number {
  return segmentLimit > 0 ? Math.min(segmentLimit, mss) : mss
}

/** What a peer takes whose SYN says nothing. */
export const defaultMss = (family: Family): number => (family === 4 ? DEFAULT_MSS4 : DEFAULT_MSS6)

/** The peer's SYN says what it takes; 0: it says nothing. */
export function takePeerMss(env: TcpEnvironment, connection: Connection, mss: number, now: Micros): void {
  const taken = mss > 0 ? mss : defaultMss(connection.remoteAddress.family)
  connection.snd.peerMss = Math.max(MIN_PEER_MSS, limited(connection.options, taken))
  connection.pathMtu = 0
  syncMss(env, connection, now)
}

/** Makes snd.mss fit the path as it is known now. True: it shrank. */
export function syncMss(env: TcpEnvironment, connection: Connection, now: Micros): boolean {
  const way = env.refreshWay(connection) ?? connection.way
  let path = env.outputFor(connection.remoteAddress).mtu(way)
  const { search, snd, window } = connection
  if (search !== null) {
    if (search.isOpen(Math.min(path, largestFor(connection)), now)) path = search.low
    else connection.search = null
  }
  if (path === connection.pathMtu) return false
  connection.pathMtu = path
  const floor = connection.remoteAddress.family === 4 ? MIN_PATH4 : IPV6_MIN_MTU
  const before = snd.mss
  const most = Math.min(snd.peerMss, Math.max(path, floor) - headersOf(connection))
  snd.mss = most - optionsOf(connection)
  window.mss = snd.mss
  window.cwnd = Math.max(window.cwnd, snd.mss)
  return snd.mss < before
}

/** Whether packets may forbid to be fragmented. */
export const forbidsFragments = (connection: Connection): boolean =>
  connection.remoteAddress.family === 6 || connection.pathMtu === 0 || connection.pathMtu >= MIN_PATH4

/** RFC 1191 §6.4: what was too big was not lost to congestion: it goes again in smaller pieces, and cwnd stays. */
export function resendTooBig(connection: Connection): void {
  const { board, snd } = connection
  for (let segment = board.first; segment !== null; segment = segment.next) {
    if (segment.length > snd.mss) board.markLost(segment)
  }
}

/** A time-out: where a segment vanishes again and again that can be made smaller, it is. */
export function suspectBlackHole(connection: Connection, now: Micros): void {
  const { board, retransmits } = connection
  if (board.first === null || retransmits === 0 || retransmits % BLACK_HOLE_TIMEOUTS !== 0) return
  const steps = connection.remoteAddress.family === 4 ? BLACK_HOLE4 : BLACK_HOLE6
  const most = Math.min(connection.pathMtu, largestFor(connection))
  const vanished = Math.min(most, board.first.length + overheadOf(connection))
  const smaller = steps.find((mtu) => mtu < vanished)
  if (smaller !== undefined) connection.search = new MtuSearch(smaller, most, connection.search, now)
}
