// Names and addresses that are known without asking: a table in the format of /etc/hosts (hosts(5)).

import { IpAddress } from '../../wire/address.ts'
import { plain } from './wire.ts'

const ENTRY_LIMIT = 65_536

export class HostsTable {
  private readonly byName = new Map<string, IpAddress[]>()
  private readonly byAddress = new Map<string, string[]>()

  /** Lines `ADDRESS NAME [NAME …]`, `#` begins a comment; a line that is neither is passed over, as everywhere. */
  constructor(text: string) {
    for (const line of text.split('\n').slice(0, ENTRY_LIMIT)) {
      const [first = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/)
      const address = IpAddress.parse(first)
      if (address === null) continue
      for (const name of names) append(this.byName, plain(name), address)
      for (const name of names) append(this.byAddress, String(address), name)
    }
  }

  addresses(name: string): readonly IpAddress[] {
    return this.byName.get(plain(name)) ?? []
  }

  /** The names of an address, the canonical one first. */
  names(address: IpAddress): readonly string[] {
    return this.byAddress.get(String(address)) ?? []
  }
}

function append<Value>(table: Map<string, Value[]>, key: string, value: Value): void {
  const known = table.get(key)
  if (known === undefined) table.set(key, [value])
  else known.push(value)
}
