// The variables of a connection's two directions under their RFC 9293 names (§3.3.1). connection.ts has one of each.

import { type Seq, seq, seqDiff } from '../wire/sequence.ts'

/** RFC 9293 §3.3.1, the send sequence variables. */
export class SendVariables {
  /** Oldest unacknowledged sequence number. */
  una: Seq
  /** Next to be sent, retransmissions apart. */
  nxt: Seq
  /** The peer's window in bytes, scaled. */
  wnd = 0
  /** Segment sequence and acknowledgment numbers of the last window update. */
  wl1: Seq
  wl2: Seq
  /** Initial sequence number. */
  readonly iss: Seq
  /** The largest window the peer ever offered, for silly-window avoidance and RFC 5961. */
  maxWnd = 0
  /** To be applied to the windows that the peer sends. */
  windowScale = 0
  /** The largest payload of one segment, options of every segment taken off. */
  mss = 536
  /** What the peer said it takes, options not taken off. */
  peerMss = 536
  /** SND.UP: the sequence number after the urgent data (RFC 9293 MUST-62); null: all of it is acknowledged. */
  up: Seq | null = null
  /** End of the last segment smaller than mss, for Nagle's algorithm as Minshall modified it. */
  smallEnd: Seq

  constructor(iss: Seq) {
    this.iss = iss
    this.una = iss
    this.nxt = iss
    this.wl1 = seq(0)
    this.wl2 = iss
    this.smallEnd = iss
  }
}

/** RFC 9293 §3.3.1, the receive sequence variables. */
export class ReceiveVariables {
  /** Next expected. */
  nxt: Seq = seq(0)
  /** Initial sequence number of the peer. */
  irs: Seq = seq(0)
  /** The right edge that was last advertised: it never moves left. */
  edge: Seq = seq(0)
  /** To be applied to the windows that we send. */
  windowScale = 0
  /** RCV.UP: the sequence number after the peer's urgent data; null: none was announced. */
  up: Seq | null = null
  /** The acknowledgment number that was last sent. */
  acked: Seq = seq(0)
  /** The segments that the peer sends when it can: what "full-sized" means for delayed ACKs. */
  segmentBytes = 536
  /** Payload of its latest segment. */
  lastBytes = 0
  /** FIN arrived in order. */
  finSeen = false
  /** Where the peer's FIN lies when it came out of order. */
  finAt: Seq | null = null

  /** RCV.WND: what the peer may still send. */
  get wnd(): number {
    return Math.max(0, seqDiff(this.edge, this.nxt))
  }
}
