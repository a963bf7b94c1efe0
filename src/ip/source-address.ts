// Which of this host's addresses a packet leaves from (RFC 6724 §5). IPv4 goes by the same rules, its addresses
// standing for their mapped forms. Rule 4 (home addresses) and 7 (temporary addresses) do not arise here.

import { commonPrefixLength, type IpAddress, IpPrefix } from '../wire/address.ts'
import type { Interface, InterfaceAddress } from './interface.ts'

/** The policy table of RFC 6724 §2.1: prefix and label, longest prefix first. */
const LABELS: readonly { prefix: IpPrefix; label: number }[] = [
  { prefix: IpPrefix.from('::1/128'), label: 0 },
  { prefix: IpPrefix.from('::/96'), label: 3 },
  { prefix: IpPrefix.from('2001::/32'), label: 5 },
  { prefix: IpPrefix.from('2002::/16'), label: 2 },
  { prefix: IpPrefix.from('3ffe::/16'), label: 12 },
  { prefix: IpPrefix.from('fec0::/10'), label: 11 },
  { prefix: IpPrefix.from('fc00::/7'), label: 13 },
]
const LABEL_IPV4 = 4
const LABEL_DEFAULT = 1

function labelOf(address: IpAddress): number {
  if (address.family === 4) return LABEL_IPV4
  for (const { prefix, label } of LABELS) if (prefix.contains(address)) return label
  return LABEL_DEFAULT
}

/** The best source on the outgoing interface, else on any other; null: there is none. */
export function selectSource(
  destination: IpAddress,
  outgoing: Interface,
  others: readonly Interface[],
): IpAddress | null {
  const onLink = best(destination, outgoing.addresses)
  if (onLink !== null || destination.isLinkLocal) return onLink
  const elsewhere: InterfaceAddress[] = []
  for (const other of others) {
    if (other !== outgoing) elsewhere.push(...other.addresses.filter(({ address }) => address.scope > 2))
  }
  return best(destination, elsewhere)
}

function best(destination: IpAddress, candidates: readonly InterfaceAddress[]): IpAddress | null {
  let winner: InterfaceAddress | null = null
  for (const candidate of candidates) {
    if (!candidate.usable || candidate.address.family !== destination.family) continue
    if (winner === null || prefer(candidate, winner, destination)) winner = candidate
  }
  return winner === null ? null : winner.address
}

/** Whether `a` is the better source for the destination; on a tie the earlier one stays. */
function prefer(a: InterfaceAddress, b: InterfaceAddress, destination: IpAddress): boolean {
  // Rule 1: the destination itself.
  if (a.address.equals(destination)) return true
  if (b.address.equals(destination)) return false
  // Rule 2: the appropriate scope.
  const scopeA = a.address.scope
  const scopeB = b.address.scope
  if (scopeA < scopeB) return scopeA >= destination.scope
  if (scopeB < scopeA) return scopeB < destination.scope
  // Rule 3: not a deprecated one.
  if (a.state !== b.state) return b.state === 'deprecated'
  // Rule 6: the same label as the destination.
  const label = labelOf(destination)
  const matchA = labelOf(a.address) === label
  if (matchA !== (labelOf(b.address) === label)) return matchA
  // Rule 8: the longest prefix in common, not counted beyond the source's own prefix length.
  return common(a, destination) > common(b, destination)
}

const common = (entry: InterfaceAddress, destination: IpAddress): number =>
  Math.min(commonPrefixLength(entry.address, destination), entry.prefix.length)
