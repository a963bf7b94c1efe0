// Addresses as programs write them, with a zone where one is needed (RFC 4007 §11): `fe80::1%eth0`.

import type { Stack } from '../stack.ts'
import { IpAddress } from '../wire/address.ts'

export interface ZonedAddress {
  readonly address: IpAddress
  /** 0: no zone, or one that no interface of this host has. */
  readonly interfaceIndex: number
}

/** What the text names, of either family; null: nothing. A zone is an interface's name or index. */
export function parseZoned(text: string, stack: Stack): ZonedAddress | null {
  const percent = text.indexOf('%')
  const address = IpAddress.parse(percent < 0 ? text : text.slice(0, percent))
  if (address === null || (percent >= 0 && address.family === 4)) return null
  const zone = percent < 0 ? '' : text.slice(percent + 1)
  const index = stack.interfaces.byName(zone)?.index ?? (/^\d+$/.test(zone) ? Number(zone) : 0)
  return { address, interfaceIndex: stack.interfaces.byIndex(index) === undefined ? 0 : index }
}
