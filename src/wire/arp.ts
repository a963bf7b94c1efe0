// ARP for IPv4 over Ethernet (RFC 826, RFC 5227).

import type { Drop } from '../counters.ts'
import { IpAddress } from './address.ts'
import { MacAddress } from './ethernet.ts'

export const ARP_LENGTH = 28
export const ARP_REQUEST = 1
export const ARP_REPLY = 2

const HARDWARE_ETHERNET = 1
const PROTOCOL_IPV4 = 0x0800

/** Undefined when `length` bytes at `at` are an ARP packet for IPv4 over Ethernet. */
export function checkArp(view: DataView, at: number, length: number): Drop | undefined {
  if (length < ARP_LENGTH) return 'arpMalformed'
  if (view.getUint16(at) !== HARDWARE_ETHERNET || view.getUint16(at + 2) !== PROTOCOL_IPV4) return 'arpMalformed'
  if (view.getUint8(at + 4) !== 6 || view.getUint8(at + 5) !== 4) return 'arpMalformed'
  const operation = arpOperation(view, at)
  return operation === ARP_REQUEST || operation === ARP_REPLY ? undefined : 'arpMalformed'
}

export const arpOperation = (view: DataView, at: number): number => view.getUint16(at + 6)
export const arpSenderMac = (view: DataView, at: number): MacAddress => MacAddress.read(view, at + 8)
export const arpSenderIp = (view: DataView, at: number): IpAddress => IpAddress.read4(view, at + 14)
export const arpTargetMac = (view: DataView, at: number): MacAddress => MacAddress.read(view, at + 18)
export const arpTargetIp = (view: DataView, at: number): IpAddress => IpAddress.read4(view, at + 24)

export interface ArpFields {
  operation: number
  senderMac: MacAddress
  senderIp: IpAddress
  targetMac: MacAddress
  targetIp: IpAddress
}

export function emitArp(view: DataView, at: number, fields: ArpFields): void {
  view.setUint16(at, HARDWARE_ETHERNET)
  view.setUint16(at + 2, PROTOCOL_IPV4)
  view.setUint8(at + 4, 6)
  view.setUint8(at + 5, 4)
  view.setUint16(at + 6, fields.operation)
  fields.senderMac.writeTo(view, at + 8)
  fields.senderIp.writeTo(view, at + 14)
  fields.targetMac.writeTo(view, at + 18)
  fields.targetIp.writeTo(view, at + 24)
}
