// TCP options, read into and written from one record that is used again for every segment: MSS (RFC 9293
// §3.7.1), window scale and timestamps (RFC 7323), SACK (RFC 2018, RFC 2883). Whatever else a peer sends is
// skipped, and the walk stops at the first option that makes no sense (RFC 9293 MUST-7).

import { assert } from '../assert.ts'
import { TCP_HEADER } from './tcp.ts'

export const TCP_MAX_OPTIONS = 40
/** RFC 7323 §2.3: a larger shift counts as this one. */
export const MAX_WINDOW_SCALE = 14
export const MAX_SACK_BLOCKS = 4
/** Beside timestamps, three blocks fit. */
export const MAX_SACK_BLOCKS_WITH_TIMESTAMPS = 3

const KIND_END = 0
const KIND_NOP = 1
const KIND_MSS = 2
const KIND_WINDOW_SCALE = 3
const KIND_SACK_PERMITTED = 4
const KIND_SACK = 5
const KIND_TIMESTAMPS = 8

/** NOP, NOP, timestamps: the only options of nearly every segment. */
const ALIGNED_TIMESTAMPS = 0x0101_080a
const SACK_PERMITTED_TIMESTAMPS = 0x0402_080a
const ALIGNED_SACK_PERMITTED = 0x0101_0402

export class TcpOptions {
  /** 0: none. */
  mss = 0
  /** -1: none; 0 to 14. */
  windowScale = -1
  sackPermitted = false
  timestamps = false
  /** int32, compared like sequence numbers. */
  timestampValue = 0
  timestampEcho = 0
  /** How many of the blocks [sackLeft[i], sackRight[i]) are set; they hold sequence numbers (Seq). */
  sackCount = 0
  readonly sackLeft = new Int32Array(MAX_SACK_BLOCKS)
  readonly sackRight = new Int32Array(MAX_SACK_BLOCKS)

  clear(): void {
    this.mss = 0
    this.windowScale = -1
    this.sackPermitted = false
    this.timestamps = false
    this.timestampValue = 0
    this.timestampEcho = 0
    this.sackCount = 0
  }
}

/**
 * Reads the options of the TCP header at `at`, `headerLength` bytes long. It reads what is there: that MSS, window
 * scale and SACK-permitted mean something on a SYN alone is the caller's to know.
 */
export function readTcpOptions(view: DataView, at: number, headerLength: number, options: TcpOptions): void {
  options.clear()
  let option = at + TCP_HEADER
  const end = at + headerLength
  if (headerLength === TCP_HEADER + 12 && view.getInt32(option) === ALIGNED_TIMESTAMPS) {
    options.timestamps = true
    options.timestampValue = view.getInt32(option + 4)
    options.timestampEcho = view.getInt32(option + 8)
    return
  }
  while (option < end) {
    const kind = view.getUint8(option)
    if (kind === KIND_END) return
    if (kind === KIND_NOP) {
      option++
      continue
    }
    if (option + 2 > end) return
    const length = view.getUint8(option + 1)
    if (length < 2 || option + length > end) return
    readOption(view, option, kind, length, options)
    option += length
  }
}

function readOption(view: DataView, at: number, kind: number, length: number, options: TcpOptions): void {
  if (kind === KIND_TIMESTAMPS && length === 10) {
    options.timestamps = true
    options.timestampValue = view.getInt32(at + 2)
    options.timestampEcho = view.getInt32(at + 6)
  } else if (kind === KIND_SACK && length >= 10 && (length - 2) % 8 === 0) {
    options.sackCount = Math.min((length - 2) >>> 3, MAX_SACK_BLOCKS)
    for (let block = 0; block < options.sackCount; block++) {
      options.sackLeft[block] = view.getInt32(at + 2 + 8 * block)
      options.sackRight[block] = view.getInt32(at + 6 + 8 * block)
    }
  } else if (kind === KIND_MSS && length === 4) {
    options.mss = view.getUint16(at + 2)
  } else if (kind === KIND_WINDOW_SCALE && length === 3) {
    options.windowScale = Math.min(view.getUint8(at + 2), MAX_WINDOW_SCALE)
  } else if (kind === KIND_SACK_PERMITTED && length === 2) {
    options.sackPermitted = true
  }
}

/** How many bytes emitTcpOptions would write: a multiple of 4. */
export function tcpOptionsLength(options: TcpOptions): number {
  let length = options.mss > 0 ? 4 : 0
  if (options.timestamps) length += 12
  else if (options.sackPermitted) length += 4
  if (options.windowScale >= 0) length += 4
  if (options.sackCount > 0) length += 4 + 8 * options.sackCount
  return length
}

/** Writes the options in Linux's order and alignment, and returns their length. */
export function emitTcpOptions(view: DataView, at: number, options: TcpOptions): number {
  assert(tcpOptionsLength(options) <= TCP_MAX_OPTIONS, 'TCP options too long')
  let next = at
  if (options.mss > 0) {
    view.setUint32(next, (KIND_MSS << 24) | (4 << 16) | options.mss)
    next += 4
  }
  if (options.timestamps) {
    view.setUint32(next, options.sackPermitted ? SACK_PERMITTED_TIMESTAMPS : ALIGNED_TIMESTAMPS)
    view.setInt32(next + 4, options.timestampValue)
    view.setInt32(next + 8, options.timestampEcho)
    next += 12
  } else if (options.sackPermitted) {
    view.setUint32(next, ALIGNED_SACK_PERMITTED)
    next += 4
  }
  if (options.windowScale >= 0) {
    view.setUint32(next, (KIND_NOP << 24) | (KIND_WINDOW_SCALE << 16) | (3 << 8) | options.windowScale)
    next += 4
  }
  if (options.sackCount > 0) {
    const length = 2 + 8 * options.sackCount
    view.setUint32(next, (KIND_NOP << 24) | (KIND_NOP << 16) | (KIND_SACK << 8) | length)
    next += 4
    for (let block = 0; block < options.sackCount; block++) {
      view.setInt32(next, options.sackLeft[block]!)
      view.setInt32(next + 4, options.sackRight[block]!)
      next += 8
    }
  }
  return next - at
}
