// Group membership of one host (RFC 1112, RFC 2236, RFC 3376; RFC 2710, RFC 3810): who joined what where, and the
// reports that tell routers and switches. Speaks the newest version, and an older one for as long as the link's
// querier does. Source filters are not kept: every membership is for all sources.

import { Packet } from '../buf/packet.ts'
import type { Drop } from '../counters.ts'
import { NetError } from '../errors.ts'
import { sumFrom } from '../link/segmentation.ts'
import { after, type Machine, type Micros, millis, NEVER, seconds } from '../time.ts'
import { DeadlineHeap } from '../timers.ts'
import {
  ALL_HOSTS4,
  ALL_NODES6,
  ALL_ROUTERS4,
  ALL_ROUTERS6,
  ANY4,
  ANY6,
  IGMPV3_ROUTERS4,
  type IpAddress,
  MLDV2_ROUTERS6,
} from '../wire/address.ts'
import { complement } from '../wire/checksum.ts'
import { ICMP6_MLD_DONE, ICMP6_MLD_QUERY, ICMP6_MLD_REPORT } from '../wire/icmp6.ts'
import {
  CHANGE_TO_EXCLUDE,
  CHANGE_TO_INCLUDE,
  checkIgmp,
  emitIgmp,
  emitIgmpV3Report,
  IGMP_QUERY,
  IGMPV1_REPORT,
  IGMPV2_LEAVE,
  IGMPV2_REPORT,
  igmpGroup,
  igmpType,
  MODE_IS_EXCLUDE,
  type MulticastQuery,
  readIgmpQuery,
} from '../wire/igmp.ts'
import { PROTOCOL_ICMP6, PROTOCOL_IGMP, pseudoHeaderSum } from '../wire/ipv4.ts'
import { ipv6HopLimit } from '../wire/ipv6.ts'
import { checkMldQuery, emitMld, emitMldV2Report, mldGroup, readMldQuery } from '../wire/mld.ts'
import type { IpContext } from './context.ts'
import type { Icmp6Listener } from './icmp6.ts'
import type { Interface } from './interface.ts'
import type { GroupMembership, IcmpError, IpOutput, SendOptions, Transport, Way } from './seams.ts'

/** Robustness Variable: how often an unsolicited report is sent (RFC 3376 §8.1). */
const ROBUSTNESS = 2
/** Unsolicited Report Interval (RFC 3376 §8.11, RFC 3810 §9.11). */
const UNSOLICITED_INTERVAL = seconds(1)
/** Older Version Querier Present Timeout (RFC 3376 §8.12): robustness × query interval + response interval. */
const OLD_QUERIER_TIMEOUT = seconds(2 * 125 + 10)
/** Groups joined on one interface. */
export const GROUP_LIMIT = 1_024
const MAX_RESPONSE = seconds(25)
const REPORT_CAPACITY = 64
const NEWEST_IGMP = 3
const NEWEST_MLD = 2
const NO_QUERIER = 0 as Micros

const IGMP_OPTIONS: SendOptions = {
  protocol: PROTOCOL_IGMP,
  hopLimit: 1,
  trafficClass: 0xc0,
  dontFragment: false,
  routerAlert: true,
  multicastLoop: true,
}
const MLD_OPTIONS: SendOptions = { ...IGMP_OPTIONS, protocol: PROTOCOL_ICMP6, trafficClass: 0 }

class Membership {
  readonly on: Interface
  readonly group: IpAddress
  /** How many joined. */
  references = 1
  /** Reports still owed, and what they say. */
  reportsLeft = 0
  reportType = CHANGE_TO_EXCLUDE
  left = false
  deadlineAt: Micros = NEVER
  scheduledAt: Micros = NEVER

  constructor(on: Interface, group: IpAddress) {
    this.on = on
    this.group = group
  }
}

/** Until when an interface speaks version 1, version 2; after both the newest (RFC 3376 §7.2.1, RFC 3810 §8.2.1). */
interface Querier {
  until1: Micros
  until2: Micros
}

export class Multicast implements Machine, GroupMembership, Transport, Icmp6Listener {
  /** Set by stack.ts. */
  output4: IpOutput | null = null
  output6: IpOutput | null = null
  private readonly context: IpContext
  private readonly memberships: Membership[] = []
  /** Left, but not yet told as often as it should be. */
  private readonly leaving: Membership[] = []
  private readonly heap = new DeadlineHeap<Membership>()
  private readonly queriers4 = new Map<number, Querier>()
  private readonly queriers6 = new Map<number, Querier>()

  constructor(context: IpContext) {
    this.context = context
  }

  isMember(on: { readonly index: number }, group: IpAddress): boolean {
    if (isForAll(group)) return true
    if (this.context.forwarding && (group.equals(ALL_ROUTERS4) || group.equals(ALL_ROUTERS6))) return true
    return this.find(on.index, group) !== undefined
  }

  /** Joins once more. Throws NetError where the group is none, or the interface has too many. */
  join(on: Interface, group: IpAddress, now: Micros): void {
    if (!group.isMulticast) throw new NetError('EINVAL', `${group} is not a multicast address`)
    const known = this.find(on.index, group)
    if (known !== undefined) {
      known.references++
      return
    }
    if (this.memberships.filter((other) => other.on === on).length >= GROUP_LIMIT) {
      throw new NetError('ENOBUFS', `${on.name} has joined ${GROUP_LIMIT} groups`)
    }
    // A report still owed about having left must not follow the one about having joined.
    this.forgetLeaving(this.leaving.findIndex((other) => other.on === on && other.group.equals(group)))
    const membership = new Membership(on, group)
    this.memberships.push(membership)
    this.owe(membership, CHANGE_TO_EXCLUDE, ROBUSTNESS, now)
  }

  /** Leaves once. Throws NetError where the group was not joined. */
  leave(on: Interface, group: IpAddress, now: Micros): void {
    const known = this.find(on.index, group)
    if (known === undefined) throw new NetError('EADDRNOTAVAIL', `${group} was not joined on ${on.name}`)
    known.references--
    if (known.references > 0) return
    known.left = true
    this.memberships.splice(this.memberships.indexOf(known), 1)
    if (this.leaving.length >= GROUP_LIMIT) this.forgetLeaving(0)
    this.leaving.push(known)
    this.owe(known, CHANGE_TO_INCLUDE, ROBUSTNESS, now)
  }

  /** RFC 3810 §5.2.13: what was reported from nowhere is told again once there is a link-local address. */
  reportAgain(on: Interface, now: Micros): void {
    for (const membership of this.memberships) {
      if (membership.on !== on || membership.group.family === 4) continue
      this.owe(membership, CHANGE_TO_EXCLUDE, ROBUSTNESS, now)
    }
  }

  /** The groups joined on an interface. */
  groups(on: Interface): IpAddress[] {
    return this.memberships.filter((membership) => membership.on === on).map(({ group }) => group)
  }

  /** IGMP, as a transport over IPv4. */
  receive(packet: Packet, source: IpAddress, _destination: IpAddress, now: Micros): Drop | undefined {
    if (!packet.linearize(packet.length)) return 'noBuffer'
    const malformed = checkIgmp(packet.page, packet.data, packet.headLength)
    if (malformed !== undefined) return malformed
    const { view } = packet.page
    const type = igmpType(view, packet.data)
    if (type === IGMP_QUERY) {
      this.receiveQuery(packet, readIgmpQuery(view, packet.data, packet.headLength), this.queriers4, NEWEST_IGMP, now)
    } else if (type === IGMPV1_REPORT || type === IGMPV2_REPORT) {
      this.suppress(packet.interfaceIndex, source, igmpGroup(view, packet.data), now)
    }
    packet.release()
    return undefined
  }

  error(_packet: Packet, _error: IcmpError, _now: Micros): boolean {
    return false
  }

  /** MLD, by way of ICMPv6. */
  receiveIcmp6(
    type: number,
    packet: Packet,
    source: IpAddress,
    _destination: IpAddress,
    now: Micros,
  ): Drop | undefined {
    const { view } = packet.page
    const at = packet.data
    if (type === ICMP6_MLD_QUERY) {
      // RFC 3810 §6.2: a query comes from this link.
      if (!source.isLinkLocal || ipv6HopLimit(view, packet.networkAt) !== 1) return 'multicastMalformed'
      const malformed = checkMldQuery(view, at, packet.headLength)
      if (malformed !== undefined) return malformed
      this.receiveQuery(packet, readMldQuery(view, at, packet.headLength), this.queriers6, NEWEST_MLD, now)
    } else if (type === ICMP6_MLD_REPORT && packet.headLength >= 24) {
      this.suppress(packet.interfaceIndex, source, mldGroup(view, at), now)
    }
    return undefined
  }

  deadline(): Micros {
    return this.heap.next()
  }

  poll(now: Micros): void {
    for (let due = this.heap.takeDue(now); due !== null; due = this.heap.takeDue(now)) this.report(due, now)
  }

  private forgetLeaving(index: number): void {
    for (const left of index < 0 ? [] : this.leaving.splice(index, 1)) {
      left.reportsLeft = 0
      left.deadlineAt = NEVER
    }
  }

  private find(index: number, group: IpAddress): Membership | undefined {
    return this.memberships.find((membership) => membership.on.index === index && membership.group.equals(group))
  }

  /** RFC 3376 §5.2, RFC 3810 §6.2: an answer within the time the querier gives, at a random instant. */
  private receiveQuery(
    packet: Packet,
    query: MulticastQuery,
    queriers: Map<number, Querier>,
    newest: number,
    now: Micros,
  ): void {
    const { interfaceIndex } = packet
    if (query.version < newest) {
      const querier = queriers.get(interfaceIndex) ?? { until1: NO_QUERIER, until2: NO_QUERIER }
      queriers.set(interfaceIndex, querier)
      if (query.version === 1) querier.until1 = after(now, OLD_QUERIER_TIMEOUT)
      else querier.until2 = after(now, OLD_QUERIER_TIMEOUT)
    }
    const limit = Math.max(1, Math.min(query.maxResponse, MAX_RESPONSE))
    for (const membership of this.memberships) {
      const { on, group } = membership
      if (on.index !== interfaceIndex || group.family !== query.group.family || isUnreported(group)) continue
      if (!query.group.isUnspecified && !query.group.equals(group)) continue
      const at = after(now, this.context.random.below(limit) as Micros)
      if (membership.reportsLeft > 0 && membership.deadlineAt <= at) continue
      this.owe(membership, MODE_IS_EXCLUDE, Math.max(1, membership.reportsLeft), at)
    }
  }

  /** RFC 2236 §3, RFC 2710 §4: another member reported in our place. The newest versions do without. */
  private suppress(interfaceIndex: number, source: IpAddress, group: IpAddress, now: Micros): void {
    // Our own report comes back to us as members of the group.
    if (source.isUnspecified || this.context.interfaces.isLocal(source)) return
    const membership = this.find(interfaceIndex, group)
    if (membership === undefined || membership.reportType !== MODE_IS_EXCLUDE) return
    if (!this.speaksOldVersion(membership, now)) return
    membership.reportsLeft = 0
    membership.deadlineAt = NEVER
  }

  private owe(membership: Membership, type: number, reports: number, at: Micros): void {
    if (isUnreported(membership.group) || membership.on.isLoopback) return
    membership.reportType = type
    membership.reportsLeft = reports
    membership.deadlineAt = at
    this.heap.schedule(membership)
  }

  private report(membership: Membership, now: Micros): void {
    if (membership.reportsLeft === 0) return
    membership.reportsLeft--
    // RFC 2236 §3, RFC 2710 §4: one message says that we have left.
    if (membership.left && this.speaksOldVersion(membership, now)) membership.reportsLeft = 0
    if (membership.group.family === 4) this.report4(membership, now)
    else this.report6(membership, now)
    if (membership.reportsLeft === 0) {
      membership.deadlineAt = NEVER
      if (membership.left) this.forgetLeaving(this.leaving.indexOf(membership))
      return
    }
    const spread = this.context.random.below(UNSOLICITED_INTERVAL) as Micros
    membership.deadlineAt = after(now, Math.max(spread, millis(10)) as Micros)
    this.heap.schedule(membership)
  }

  private report4(membership: Membership, now: Micros): void {
    const { on, group, left } = membership
    const version = versionOf(this.queriers4.get(on.index), NEWEST_IGMP, now)
    if (left && version === 1) return
    const packet = Packet.allocate(this.context.pool, REPORT_CAPACITY)
    if (packet === null) return
    let destination = IGMPV3_ROUTERS4
    if (version === 3) {
      const record = { type: membership.reportType, group, sources: [] }
      packet.put(emitIgmpV3Report(packet.page, packet.data, [record]))
    } else {
      const type = left ? IGMPV2_LEAVE : version === 2 ? IGMPV2_REPORT : IGMPV1_REPORT
      destination = left ? ALL_ROUTERS4 : group
      packet.put(emitIgmp(packet.page, packet.data, type, group))
    }
    packet.note = `${left ? 'leave' : 'report'}: ${group}`
    const own = on.addresses.find(({ address, usable }) => usable && address.family === 4)
    this.output4!.send(packet, this.wayTo(on, own?.address ?? ANY4, destination), IGMP_OPTIONS, now)
  }

  private report6(membership: Membership, now: Micros): void {
    const { on, group, left } = membership
    const version = versionOf(this.queriers6.get(on.index), NEWEST_MLD, now)
    const packet = Packet.allocate(this.context.pool, REPORT_CAPACITY)
    if (packet === null) return
    let destination = MLDV2_ROUTERS6
    if (version === 2) {
      const record = { type: membership.reportType, group, sources: [] }
      packet.put(emitMldV2Report(packet.page.view, packet.data, [record]))
      this.context.counters.Icmp6OutMLDv2Reports++
    } else {
      destination = left ? ALL_ROUTERS6 : group
      packet.put(emitMld(packet.page.view, packet.data, left ? ICMP6_MLD_DONE : ICMP6_MLD_REPORT, group))
    }
    packet.note = `${left ? 'leave' : 'report'}: ${group}`
    // RFC 3810 §5.2.13: from nowhere as long as there is no unique link-local address.
    const own = on.addresses.find(({ address, usable }) => usable && address.family === 6 && address.isLinkLocal)
    const source = own?.address ?? ANY6
    const pseudo = pseudoHeaderSum(source, destination, PROTOCOL_ICMP6, packet.length)
    packet.page.view.setUint16(packet.data + 2, complement(sumFrom(packet, packet.data) + pseudo))
    this.context.counters.Icmp6OutMsgs++
    this.output6!.send(packet, this.wayTo(on, source, destination), MLD_OPTIONS, now)
  }

  private speaksOldVersion({ on, group }: Membership, now: Micros): boolean {
    return group.family === 4
      ? versionOf(this.queriers4.get(on.index), NEWEST_IGMP, now) < NEWEST_IGMP
      : versionOf(this.queriers6.get(on.index), NEWEST_MLD, now) < NEWEST_MLD
  }

  private wayTo(on: Interface, source: IpAddress, destination: IpAddress): Way {
    return { source, destination, nextHop: destination, interfaceIndex: on.index, linkMtu: on.mtu, generation: -1 }
  }
}

function versionOf(querier: Querier | undefined, newest: number, now: Micros): number {
  if (querier === undefined) return newest
  return querier.until1 > now ? 1 : querier.until2 > now ? 2 : newest
}

/** Groups that every host is in, without a report. */
const isForAll = (group: IpAddress): boolean => group.equals(ALL_HOSTS4) || group.equals(ALL_NODES6)

/** RFC 3376 §6, RFC 3810 §6: never reported; nor are groups that do not leave the host. */
const isUnreported = (group: IpAddress): boolean => isForAll(group) || (group.family === 6 && group.scope < 2)
