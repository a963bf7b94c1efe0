// Which of this host's addresses a packet leaves from (RFC 6724 §5). IPv4 goes by the same rules, its addresses
// standing for their mapped forms. Rule 4 (home addresses) and 7 (temporary addresses) do not arise here.

import { commonPrefixLength, type IpAddress, IpPrefix } from '../wire/address.ts'
import type { Interface, InterfaceAddress } from './interface.ts'

/** How RFC 6724 §2.1 ranks a kind of address. */
export interface AddressPolicy {
  readonly label: number
  readonly precedence: number
}

/** The policy table of RFC 6724 §2.1. */
const POLICIES: readonly ({ prefix: IpPrefix } & AddressPolicy)[] = [
  { prefix: IpPrefix.from('::1/128'), label: 0, precedence: 50 },
  { prefix: IpPrefix.from('::/96'), label: 3, precedence: 1 },
  { prefix: IpPrefix.from('2001::/32'), label: 5, precedence: 5 },
  { prefix: IpPrefix.from('2002::/16'), label: 2, precedence: 30 },
  { prefix: IpPrefix.from('3ffe::/16'), label: 12, precedence: 1 },
  { prefix: IpPrefix.from('fec0::/10'), label: 11, precedence: 1 },
  { prefix: IpPrefix.from('fc00::/7'), label: 13, precedence: 3 },
]
const POLICY_IPV4: AddressPolicy = { label: 4, precedence: 35 }
const POLICY_DEFAULT: AddressPolicy = { label: 1, precedence: 40 }
const LINK_SCOPE = 2
const AUTOCONF_BITS = 64

export function policyOf(address: IpAddress): AddressPolicy {
  if (address.family === 4) return POLICY_IPV4
  for (const policy of POLICIES) if (policy.prefix.contains(address)) return policy
  return POLICY_DEFAULT
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
  const { label } = policyOf(destination)
  const matchA = policyOf(a.address).label === label
  if (matchA !== (policyOf(b.address).label === label)) return matchA
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
