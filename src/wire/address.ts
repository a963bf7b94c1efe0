// One class for the addresses of both families, so that routes, demux and sockets stay monomorphic: four
// 32-bit words and the family. Text per RFC 4291 §2.2 (parsing) and RFC 5952 (printing). Zones (`%eth0`)
// belong to a socket's endpoint, not to an address.

import { assert } from '../assert.ts'
import { UsageError } from '../errors.ts'

export type Family = 4 | 6

export class IpAddress {
  readonly family: Family
  /** int32 words in network order; IPv4 lives in w3 with the others 0. */
  readonly w0: number
  readonly w1: number
  readonly w2: number
  readonly w3: number

  constructor(family: Family, w0: number, w1: number, w2: number, w3: number) {
    this.family = family
    this.w0 = w0 | 0
    this.w1 = w1 | 0
    this.w2 = w2 | 0
    this.w3 = w3 | 0
  }

  /** The address that the text names, of either family; null when it names none. */
  static parse(text: string): IpAddress | null {
    return text.includes(':') ? parse6(text) : parse4(text)
  }

  /** Like parse, but throws UsageError. */
  static from(text: string): IpAddress {
    const address = IpAddress.parse(text)
    if (address === null) {
      throw new UsageError(`'${text}' is not an IP address: write it like 10.0.0.1 or fd00::1`)
    }
    return address
  }

  /** An address as it is, a text by what it names. Throws UsageError. */
  static of(given: IpAddress | string): IpAddress {
    return typeof given === 'string' ? IpAddress.from(given) : given
  }

  static v4(word: number): IpAddress {
    return new IpAddress(4, 0, 0, 0, word)
  }

  static read4(view: DataView, at: number): IpAddress {
    return new IpAddress(4, 0, 0, 0, view.getInt32(at))
  }

  static read6(view: DataView, at: number): IpAddress {
    return new IpAddress(6, view.getInt32(at), view.getInt32(at + 4), view.getInt32(at + 8), view.getInt32(at + 12))
  }

  /** Writes 4 or 16 bytes. */
  writeTo(view: DataView, at: number): void {
    if (this.family === 6) {
      view.setInt32(at, this.w0)
      view.setInt32(at + 4, this.w1)
      view.setInt32(at + 8, this.w2)
      view.setInt32(at + 12, this.w3)
    } else view.setInt32(at, this.w3)
  }

  /** Bytes on the wire. */
  get size(): number {
    return this.family === 4 ? 4 : 16
  }

  equals(other: IpAddress): boolean {
    return (
      this.w3 === other.w3 &&
      this.w2 === other.w2 &&
      this.w1 === other.w1 &&
      this.w0 === other.w0 &&
      this.family === other.family
    )
  }

  /** An int32 for tables that a peer cannot fill at will; those use KeyedHash. */
  get hash(): number {
    let hash = Math.imul(this.w0, 0x85eb_ca6b) ^ this.w1
    hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2_ae35) ^ this.w2
    hash = Math.imul(hash ^ (hash >>> 13), 0x27d4_eb2f) ^ this.w3
    return Math.imul(hash ^ (hash >>> 16), 0x9e37_79b1) | 0
  }

  /** The sum of its 16-bit words, for a pseudo-header. */
  get sum(): number {
    if (this.family === 4) return (this.w3 >>> 16) + (this.w3 & 0xffff)
    return (
      (this.w0 >>> 16) +
      (this.w0 & 0xffff) +
      (this.w1 >>> 16) +
      (this.w1 & 0xffff) +
      (this.w2 >>> 16) +
      (this.w2 & 0xffff) +
      (this.w3 >>> 16) +
      (this.w3 & 0xffff)
    )
  }

  get isUnspecified(): boolean {
    return (this.w0 | this.w1 | this.w2 | this.w3) === 0
  }

  /** 127.0.0.0/8 or ::1. */
  get isLoopback(): boolean {
    if (this.family === 4) return this.w3 >>> 24 === 127
    return (this.w0 | this.w1 | this.w2) === 0 && this.w3 === 1
  }

  /** 224.0.0.0/4 or ff00::/8. */
  get isMulticast(): boolean {
    return this.family === 4 ? this.w3 >>> 28 === 0xe : this.w0 >>> 24 === 0xff
  }

  /** 255.255.255.255. */
  get isLimitedBroadcast(): boolean {
    return this.family === 4 && this.w3 === -1
  }

  /** 169.254.0.0/16 or fe80::/10. */
  get isLinkLocal(): boolean {
    return this.family === 4 ? this.w3 >>> 16 === 0xa9fe : this.w0 >>> 22 === 0x3fa
  }

  /** fc00::/7. */
  get isUniqueLocal(): boolean {
    return this.family === 6 && this.w0 >>> 25 === 0x7e
  }

  /** ::ffff:0:0/96. */
  get isMapped4(): boolean {
    return this.family === 6 && (this.w0 | this.w1) === 0 && this.w2 === 0xffff
  }

  /** 240.0.0.0/4, broadcast included. */
  get isReserved4(): boolean {
    return this.family === 4 && this.w3 >>> 28 === 0xf
  }

  /** 0.0.0.0/8. */
  get isThisNetwork4(): boolean {
    return this.family === 4 && this.w3 >>> 24 === 0
  }

  /** RFC 4007 §6 for multicast (the scope nibble), RFC 6724 §3.1 for unicast: 2 link, 5 site, 14 global. */
  get scope(): number {
    if (this.family === 6 && this.isMulticast) return (this.w0 >>> 16) & 0xf
    if (this.isLoopback || this.isLinkLocal) return 2
    if (this.family === 6 && this.w0 >>> 22 === 0x3fb) return 5
    return 14
  }

  /** The IPv4 address inside an IPv4-mapped one. */
  unmapped(): IpAddress {
    assert(this.isMapped4)
    return IpAddress.v4(this.w3)
  }

  toString(): string {
    return this.family === 4 ? text4(this.w3) : text6(this)
  }
}

export const ANY4 = new IpAddress(4, 0, 0, 0, 0)
export const ANY6 = new IpAddress(6, 0, 0, 0, 0)
export const LOOPBACK4 = IpAddress.v4(0x7f00_0001)
export const LOOPBACK6 = new IpAddress(6, 0, 0, 0, 1)
export const BROADCAST4 = IpAddress.v4(-1)
export const ALL_HOSTS4 = IpAddress.v4(0xe000_0001)
export const ALL_ROUTERS4 = IpAddress.v4(0xe000_0002)
/** Where IGMPv3 reports go (RFC 3376 §4.2.14). */
export const IGMPV3_ROUTERS4 = IpAddress.v4(0xe000_0016)
export const ALL_NODES6 = new IpAddress(6, 0xff02_0000, 0, 0, 1)
export const ALL_ROUTERS6 = new IpAddress(6, 0xff02_0000, 0, 0, 2)
/** Where MLDv2 reports go (RFC 3810 §5.2.14). */
export const MLDV2_ROUTERS6 = new IpAddress(6, 0xff02_0000, 0, 0, 0x16)

export const anyAddress = (family: Family): IpAddress => (family === 4 ? ANY4 : ANY6)

/** ff02::1:ffXX:XXXX (RFC 4291 §2.7.1). */
export const solicitedNode = (address: IpAddress): IpAddress =>
  new IpAddress(6, 0xff02_0000, 0, 1, 0xff00_0000 | (address.w3 & 0xff_ffff))

/** An address and how many of its leading bits name the network. */
export class IpPrefix {
  readonly address: IpAddress
  readonly length: number

  constructor(address: IpAddress, length: number) {
    assert(length >= 0 && length <= (address.family === 4 ? 32 : 128), 'prefix length out of range')
    this.address = address
    this.length = length
  }

  /** `10.0.0.1/24`: the address as written, host bits kept. Throws UsageError. */
  static from(text: string): IpPrefix {
    const slash = text.indexOf('/')
    const address = IpAddress.parse(slash < 0 ? text : text.slice(0, slash))
    const digits = slash < 0 ? '' : text.slice(slash + 1)
    const limit = address?.family === 4 ? 32 : 128
    const bits = slash < 0 ? limit : /^\d{1,3}$/.test(digits) ? Number(digits) : -1
    if (address === null || bits < 0 || bits > limit) {
      throw new UsageError(`'${text}' is not an address with a prefix length: write it like 10.0.0.1/24 or fd00::1/64`)
    }
    return new IpPrefix(address, bits)
  }

  /** A prefix as it is, a text with its length by what it names. Throws UsageError. */
  static of(given: IpPrefix | string): IpPrefix {
    if (typeof given !== 'string') return given
    if (given.includes('/')) return IpPrefix.from(given)
    throw new UsageError(`'${given}' has no prefix length: write it like 10.0.0.2/24 or fd00::2/64`)
  }

  /** The prefix with its host bits cleared. */
  get network(): IpPrefix {
    return new IpPrefix(masked(this.address, this.length), this.length)
  }

  contains(address: IpAddress): boolean {
    return address.family === this.address.family && commonPrefixLength(this.address, address) >= this.length
  }

  /** The directed broadcast address; null for IPv6 and for prefixes of 31 and 32 bits (RFC 3021). */
  get broadcast(): IpAddress | null {
    if (this.address.family === 6 || this.length > 30) return null
    return IpAddress.v4(this.address.w3 | (0xffff_ffff >>> this.length))
  }

  toString(): string {
    return `${this.address}/${this.length}`
  }
}

/** The address with all but the first `length` bits cleared. */
export function masked(address: IpAddress, length: number): IpAddress {
  if (address.family === 4) return IpAddress.v4(address.w3 & wordMask(length))
  return new IpAddress(
    6,
    address.w0 & wordMask(length),
    address.w1 & wordMask(length - 32),
    address.w2 & wordMask(length - 64),
    address.w3 & wordMask(length - 96),
  )
}

/** How many leading bits two addresses of one family share. */
export function commonPrefixLength(a: IpAddress, b: IpAddress): number {
  if (a.family === 4) return Math.clz32(a.w3 ^ b.w3)
  if (a.w0 !== b.w0) return Math.clz32(a.w0 ^ b.w0)
  if (a.w1 !== b.w1) return 32 + Math.clz32(a.w1 ^ b.w1)
  if (a.w2 !== b.w2) return 64 + Math.clz32(a.w2 ^ b.w2)
  return 96 + Math.clz32(a.w3 ^ b.w3)
}

const wordMask = (bits: number): number => (bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits))

function parse4(text: string): IpAddress | null {
  const parts = text.split('.')
  if (parts.length !== 4) return null
  let word = 0
  for (const part of parts) {
    // A leading zero would be octal to some parsers: refused, as inet_pton does.
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return null
    word = (word << 8) | Number(part)
  }
  return IpAddress.v4(word)
}

function parse6(text: string): IpAddress | null {
  let groupsText = text
  const lastColon = text.lastIndexOf(':')
  if (text.includes('.')) {
    const tail = parse4(text.slice(lastColon + 1))
    if (tail === null) return null
    groupsText = `${text.slice(0, lastColon + 1)}${(tail.w3 >>> 16).toString(16)}:${(tail.w3 & 0xffff).toString(16)}`
  }
  const halves = groupsText.split('::')
  if (halves.length > 2) return null
  const split = (half: string): string[] => (half === '' ? [] : half.split(':'))
  const front = split(halves[0]!)
  const back = halves.length === 2 ? split(halves[1]!) : []
  const missing = 8 - front.length - back.length
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null
  const groups: number[] = []
  for (const group of [...front, ...new Array<string>(missing).fill('0'), ...back]) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return null
    groups.push(Number.parseInt(group, 16))
  }
  const word = (index: number): number => (groups[index]! << 16) | groups[index + 1]!
  return new IpAddress(6, word(0), word(2), word(4), word(6))
}

const text4 = (word: number): string => `${word >>> 24}.${(word >>> 16) & 0xff}.${(word >>> 8) & 0xff}.${word & 0xff}`

/** RFC 5952 §4: lower case, no leading zeros, the longest run of two or more zero groups as `::`, the first of equals. */
function text6(address: IpAddress): string {
  if (address.isMapped4) return `::ffff:${text4(address.w3)}`
  const groups: number[] = []
  for (const word of [address.w0, address.w1, address.w2, address.w3]) groups.push(word >>> 16, word & 0xffff)
  let bestAt = -1
  let bestLength = 1
  for (let at = 0; at < 8; at++) {
    let length = 0
    while (at + length < 8 && groups[at + length] === 0) length++
    if (length > bestLength) {
      bestAt = at
      bestLength = length
    }
    at += length
  }
  const print = (part: number[]): string => part.map((group) => group.toString(16)).join(':')
  if (bestAt < 0) return print(groups)
  return `${print(groups.slice(0, bestAt))}::${print(groups.slice(bestAt + bestLength))}`
}
