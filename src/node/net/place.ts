// Where a socket is bound, and where it goes: addresses as programs write them, with the rules that Linux has for them.

import type { NetErrorCode } from '../../errors.ts'
import type { Stack } from '../../stack.ts'
import type { Listener } from '../../tcp/listener.ts'
import { type IpAddress, LOOPBACK4, LOOPBACK6 } from '../../wire/address.ts'
import { parseZoned } from '../zoned-address.ts'

/** The interface is that of an address with a zone, or 0. */
export interface Place {
  readonly address: IpAddress
  readonly port: number
  readonly interfaceIndex: number
}

/** Of an address that may have a zone, or be an IPv4 address mapped into IPv6; null: it is none. */
export function placeOf(stack: Stack, text: string, port: number): Place | null {
  const parsed = parseZoned(text, stack)
  if (parsed === null) return null
  const { address, interfaceIndex } = parsed
  return { address: address.isMapped4 ? address.unmapped() : address, port, interfaceIndex }
}

/** Whether a listener is there whose address would be the same. */
export function isListening(listeners: readonly Listener[] | undefined, address: IpAddress): boolean {
  return (listeners ?? []).some((other) => {
    if (other.family !== address.family) return false
    return other.address.isUnspecified || address.isUnspecified || other.address.equals(address)
  })
}

/** Where Linux goes when a program connects to the unspecified address: to this host. */
export function destinationOf(address: IpAddress): IpAddress {
  if (!address.isUnspecified) return address
  return address.family === 4 ? LOOPBACK4 : LOOPBACK6
}

/** The kernel binds the port first, and finds the address taken when it connects. */
export const takenFrom = (code: NetErrorCode): NetErrorCode => (code === 'EADDRINUSE' ? 'EADDRNOTAVAIL' : code)
