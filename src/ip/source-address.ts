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
const LINK_SCOPE = 2
const AUTOCONF_BITS = 64

function labelOf(address: IpAddress): number {
  if (address.family === 4) return LABEL_IPV4
  for (const { prefix, label } of LABELS) if (prefix.contains(address)) return label
  return LABEL_DEFAULT
}

/**
 * The best of this host's addresses for packets to `destination` that leave by `outgoing`; null: there is none. Ties go to
 * the address that was there first.
 */
export function selectSource(
  destination: IpAddress,
  outgoing: Interface,
  others: readonly Interface[],
): IpAddress | null {
  const near = best(destination, outgoing.addresses)
  // RFC 6724 §4: for these, only the addresses of the outgoing link will do.
  if (destination.isLinkLocal || destination.isMulticast) return near?.address ?? null
  const elsewhere: InterfaceAddress[] = []
  for (const other of others) {
    if (other !== outgoing) elsewhere.push(...other.addresses.filter(({ address }) => address.scope > LINK_SCOPE))
  }
  const far = best(destination, elsewhere)
  if (near === null || far === null) return (near ?? far)?.address ?? null
  // Rule 5, the outgoing interface, decides what the first three leave open.
  return prefersEarly(far, near, destination) === true ? far.address : near.address
}

function best(destination: IpAddress, candidates: readonly InterfaceAddress[]): InterfaceAddress | null {
  let winner: InterfaceAddress | null = null
  for (const candidate of candidates) {
    if (!candidate.usable || candidate.address.family !== destination.family) continue
    if (winner === null || prefers(candidate, winner, destination)) winner = candidate
  }
  return winner
}

/** Whether `a` is the better source for the destination. */
function prefers(a: InterfaceAddress, b: InterfaceAddress, destination: IpAddress): boolean {
  const early = prefersEarly(a, b, destination)
  if (early !== undefined) return early
  // Rule 6: the same label as the destination.
  const label = labelOf(destination)
  const matchA = labelOf(a.address) === label
  if (matchA !== (labelOf(b.address) === label)) return matchA
  // Rule 8: the longest prefix in common.
  return common(a, destination) > common(b, destination)
}

/** What rules 1 to 3 say; undefined: nothing. */
function prefersEarly(a: InterfaceAddress, b: InterfaceAddress, destination: IpAddress): boolean | undefined {
  // Rule 1: the destination itself.
  if (a.address.equals(destination)) return true
  if (b.address.equals(destination)) return false
  // Rule 2: the appropriate scope.
  const scopeA = a.address.scope
  const scopeB = b.address.scope
  if (scopeA < scopeB) return scopeA >= destination.scope
  if (scopeB < scopeA) return scopeB < destination.scope
  // Rule 3: not a deprecated one.
  return a.state === b.state ? undefined : b.state === 'deprecated'
}

/** RFC 6724 §2.2: not counted beyond the source's own prefix, which for an autoconfigured address has 64 bits. */
function common({ address, origin, prefix }: InterfaceAddress, destination: IpAddress): number {
  const own = origin === 'autoconf' ? AUTOCONF_BITS : prefix.length
  return Math.min(commonPrefixLength(address, destination), own)
}
