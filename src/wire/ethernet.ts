// Ethernet II (RFC 894, RFC 2464) and the 802.1Q tag.
//
//    0        6        12   14
//   +--------+--------+----+----------
//   | dst    | src    |type| payload        type 0x8100: 2 bytes of tag, then the real type
//   +--------+--------+----+----------

import { UsageError } from '../errors.ts'
import type { Random } from '../random.ts'
import type { IpAddress } from './address.ts'

export const ETHERNET_HEADER = 14
export const VLAN_TAG = 4
export const ETHERTYPE_IPV4 = 0x0800
export const ETHERTYPE_ARP = 0x0806
export const ETHERTYPE_VLAN = 0x8100
export const ETHERTYPE_IPV6 = 0x86dd

export class MacAddress {
  /** The first two bytes. */
  readonly high: number
  /** The last four, as an int32. */
  readonly low: number

  constructor(high: number, low: number) {
    this.high = high & 0xffff
    this.low = low | 0
  }

  /** `02:00:00:00:00:01`, also with dashes; null when it is none. */
  static parse(text: string): MacAddress | null {
    if (!/^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$/.test(text)) return null
    const digits = text.replace(/[:-]/g, '')
    return new MacAddress(Number.parseInt(digits.slice(0, 4), 16), Number.parseInt(digits.slice(4), 16))
  }

  /** Like parse, but throws UsageError. */
  static from(text: string): MacAddress {
    const address = MacAddress.parse(text)
    if (address === null) throw new UsageError(`'${text}' is not a MAC address: write it like 02:00:00:00:00:01`)
    return address
  }

  /** A locally administered unicast address. */
  static random(random: Random): MacAddress {
    return new MacAddress(0x0200 | (random.u32() & 0xfcff), random.u32())
  }

  static read(view: DataView, at: number): MacAddress {
    return new MacAddress(view.getUint16(at), view.getInt32(at + 2))
  }

  writeTo(view: DataView, at: number): void {
    view.setUint16(at, this.high)
    view.setInt32(at + 2, this.low)
  }

  equals(other: MacAddress): boolean {
    return this.low === other.low && this.high === other.high
  }

  /** The group bit: multicast or broadcast. */
  get isMulticast(): boolean {
    return (this.high & 0x0100) !== 0
  }

  get isBroadcast(): boolean {
    return this.high === 0xffff && this.low === -1
  }

  get isZero(): boolean {
    return this.high === 0 && this.low === 0
  }

  /** All 48 bits as one number: a key for maps. */
  get key(): number {
    return this.high * 0x1_0000_0000 + (this.low >>> 0)
  }

  toString(): string {
    const digits = this.high.toString(16).padStart(4, '0') + (this.low >>> 0).toString(16).padStart(8, '0')
    return digits.replace(/..(?!$)/g, '$&:')
  }
}

export const BROADCAST_MAC = new MacAddress(0xffff, -1)
export const ZERO_MAC = new MacAddress(0, 0)

/** 01:00:5e + 23 bits (RFC 1112 §6.4), or 33:33 + 32 bits (RFC 2464 §7). */
export const multicastMac = (group: IpAddress): MacAddress =>
  group.family === 4 ? new MacAddress(0x0100, 0x5e00_0000 | (group.w3 & 0x7f_ffff)) : new MacAddress(0x3333, group.w3)

export const etherType = (view: DataView, at: number): number => view.getUint16(at + 12)
/** Priority, drop eligibility and VLAN identifier of a tagged frame. */
export const vlanTag = (view: DataView, at: number): number => view.getUint16(at + 14)
export const vlanInnerType = (view: DataView, at: number): number => view.getUint16(at + 16)

export function emitEthernet(
  view: DataView,
  at: number,
  destination: MacAddress,
  source: MacAddress,
  type: number,
): void {
  destination.writeTo(view, at)
  source.writeTo(view, at + 6)
  view.setUint16(at + 12, type)
}

export function emitVlan(
  view: DataView,
  at: number,
  destination: MacAddress,
  source: MacAddress,
  tag: number,
  type: number,
): void {
  emitEthernet(view, at, destination, source, ETHERTYPE_VLAN)
  view.setUint16(at + 14, tag)
  view.setUint16(at + 16, type)
}
