// Which of a name's addresses to try first (RFC 6724 §6). Rules 4 (home addresses), 7 (tunnels) do not arise here.

import { commonPrefixLength, type IpAddress } from '../wire/address.ts'
import type { Interfaces } from './interfaces.ts'
import type { IpOutput } from './seams.ts'
import { policyOf } from './source-address.ts'

interface Candidate {
  readonly address: IpAddress
  /** Where packets to it would leave from; null: it cannot be reached. */
  readonly source: IpAddress | null
  readonly deprecated: boolean
}

/** The addresses, best first; those that are equally good stay in their order. */
export function orderDestinations(
  addresses: readonly IpAddress[],
  outputs: { readonly ipv4: IpOutput; readonly ipv6: IpOutput; readonly interfaces: Interfaces },
): IpAddress[] {
  const candidates = addresses.map((address): Candidate => {
    const output = address.family === 4 ? outputs.ipv4 : outputs.ipv6
    const way = output.resolve(address, { source: null, interfaceIndex: 0 })
    if (typeof way === 'string') return { address, source: null, deprecated: false }
    const { source } = way
    return { address, source, deprecated: outputs.interfaces.find(source)?.entry.state === 'deprecated' }
  })
  return candidates.sort(compare).map(({ address }) => address)
}

/** Below 0: `a` first. */
function compare(a: Candidate, b: Candidate): number {
  // Rule 1: what can be reached.
  if (a.source === null || b.source === null) return Number(a.source === null) - Number(b.source === null)
  // Rule 2: the source's scope.
  const scopes = first(a.address.scope === a.source.scope, b.address.scope === b.source.scope)
  if (scopes !== 0) return scopes
  // Rule 3: no deprecated source.
  if (a.deprecated !== b.deprecated) return first(!a.deprecated, !b.deprecated)
  const [forA, forB] = [policyOf(a.address), policyOf(b.address)]
  // Rule 5: the source's label.
  const labels = first(policyOf(a.source).label === forA.label, policyOf(b.source).label === forB.label)
  if (labels !== 0) return labels
  // Rules 6 and 8: the higher precedence, the smaller scope.
  if (forA.precedence !== forB.precedence) return forB.precedence - forA.precedence
  if (a.address.scope !== b.address.scope) return a.address.scope - b.address.scope
  // Rule 9: the longest prefix in common with the source.
  if (a.address.family !== b.address.family) return 0
  return commonPrefixLength(b.address, b.source) - commonPrefixLength(a.address, a.source)
}

const first = (a: boolean, b: boolean): number => Number(b) - Number(a)
