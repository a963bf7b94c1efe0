import { describe, expect, test } from 'vitest'
import { NetError } from '../../src/errors.ts'
import { GROUP_LIMIT } from '../../src/ip/multicast.ts'
import { UdpSocket } from '../../src/socket/udp-socket.ts'
import { type Micros, millis, seconds } from '../../src/time.ts'
import { ALL_HOSTS4, ALL_NODES6, ANY4, ANY6, IpAddress } from '../../src/wire/address.ts'
import { ICMP6_MLD_QUERY, ICMP6_MLD_REPORT } from '../../src/wire/icmp6.ts'
import { IGMP_QUERY, IGMPV2_REPORT, readGroupRecords } from '../../src/wire/igmp.ts'
import { igmpFrame, igmpV3Query, mac, mldFrame, mldV2Query, udpFrame } from '../support/messages.ts'
import { type Facing, facing, type Heard, inWorld } from '../support/stranger.ts'

const SEED = 3376
const HOST_MAC = mac(0x11)
const ip = (text: string): IpAddress => IpAddress.from(text)
const ROUTER4 = ip('10.0.0.254')
const ROUTER6 = ip('fe80::99')
const REPORT = /igmp|listener/

/** The records of a version 3 IGMP or version 2 MLD report. */
function recordsOf({ bytes, text }: Heard): { type: number; group: string }[] {
  const view = new DataView(bytes.buffer)
  const isV4 = text.startsWith('IP ')
  // Both have a router alert: 4 bytes of option, 8 of hop-by-hop header.
  const at = isV4 ? 14 + 24 : 14 + 40 + 8
  const count = view.getUint16(at + 6)
  const records = readGroupRecords(view, at + 8, bytes.length, count, isV4 ? 4 : 16)!
  expect(records.every(({ sources }) => sources.length === 0)).toBe(true)
  return records.map(({ type, group }) => ({ type, group: String(group) }))
}

interface FamilyCase {
  name: string
  group: IpAddress
  other: IpAddress
  reportsTo: string
  /** Of the newest version: general where no group is given. */
  query(maxResponse: Micros, group?: IpAddress): Uint8Array
  /** Of the version before. */
  oldQuery(maxResponse: Micros, group?: IpAddress): Uint8Array
  oldReport(group: IpAddress, source?: IpAddress): Uint8Array
  oldReportText(group: IpAddress): string
  oldLeaveText(group: IpAddress): string
}

const FAMILIES: FamilyCase[] = [
  {
    name: 'IGMP',
    group: ip('239.1.2.3'),
    other: ip('239.9.9.9'),
    reportsTo: '224.0.0.22',
    query: (maxResponse, group = ANY4) => igmpV3Query(group, ROUTER4, maxResponse / 100_000),
    oldQuery: (maxResponse, group = ANY4) => {
      const destination = group.isUnspecified ? ALL_HOSTS4 : group
      return igmpFrame(IGMP_QUERY, group, { source: ROUTER4, destination }, maxResponse / 100_000)
    },
    oldReport: (group, source = ip('10.0.0.9')) => igmpFrame(IGMPV2_REPORT, group, { source, destination: group }),
    oldReportText: (group) => `IP 10.0.0.1 > ${group}: igmp v2 report ${group}`,
    oldLeaveText: (group) => `IP 10.0.0.1 > 224.0.0.2: igmp leave ${group}`,
  },
  {
    name: 'MLD',
    group: ip('ff05::1:3'),
    other: ip('ff0e::9'),
    reportsTo: 'ff02::16',
    query: (maxResponse, group = ANY6) => {
      const destination = group.isUnspecified ? ALL_NODES6 : group
      return mldV2Query(group, { source: ROUTER6, destination }, maxResponse / 1_000)
    },
    oldQuery: (maxResponse, group = ANY6) => {
      const destination = group.isUnspecified ? ALL_NODES6 : group
      return mldFrame(ICMP6_MLD_QUERY, group, { source: ROUTER6, destination }, maxResponse / 1_000)
    },
    oldReport: (group, source = ip('fe80::77')) => mldFrame(ICMP6_MLD_REPORT, group, { source, destination: group }),
    oldReportText: (group) =>
      `IP6 fe80::ff:fe00:11 > ${group}: HBH ICMP6, multicast listener report max resp delay: 0 addr: ${group}, length 24`,
    oldLeaveText: (group) =>
      `IP6 fe80::ff:fe00:11 > ff02::2: HBH ICMP6, multicast listener done max resp delay: 0 addr: ${group}, length 24`,
  },
]

/** A host with 10.0.0.1 and a link-local address that has said all it had to say. */
function quiet(body: (made: Facing) => void, seed = SEED, options: { forwarding?: boolean } = {}): void {
  inWorld(seed, (made) => {
    const rig = facing(made, { addresses: ['10.0.0.1/24'], mac: HOST_MAC, ...options })
    rig.stranger.runSeconds(20)
    rig.stranger.take()
    body(rig)
  })
}

describe.each(FAMILIES)('$name', (family) => {
  const { group, other, reportsTo } = family

  const join = ({ host, on, world }: Facing, to = group): void => host.multicast.join(on, to, world.now)
  const leave = ({ host, on, world }: Facing, from = group): void => host.multicast.leave(on, from, world.now)
  /** A member whose joining has been reported. */
  const joined = (body: (made: Facing) => void, seed = SEED): void =>
    quiet((rig) => {
      join(rig)
      rig.stranger.runSeconds(3)
      rig.stranger.take()
      body(rig)
    }, seed)

  test('joining is reported twice, at once and within a second (RFC 3376 §5.1, RFC 3810 §6.1)', () => {
    for (let seed = 1; seed <= 20; seed++) {
      quiet((rig) => {
        const { now } = rig.world
        join(rig)
        rig.stranger.runSeconds(30)
        const heard = rig.stranger.takeHeard(REPORT)
        expect(heard.length).toBe(2)
        expect(heard[0]!.at).toBe(now)
        expect(heard[1]!.at - now).toBeLessThanOrEqual(1_000_000)
        expect(heard[1]!.at - now).toBeGreaterThan(0)
        for (const one of heard) {
          expect(recordsOf(one)).toEqual([{ type: 4, group: String(group) }])
          expect(one.text).toContain(` > ${reportsTo}`)
          expect(one.bytes[group.family === 4 ? 14 + 8 : 14 + 7]).toBe(1)
        }
      }, seed)
    }
  })

  test('who joins again is not reported again, and only the last to leave is', () => {
    joined((rig) => {
      join(rig)
      join(rig)
      leave(rig)
      leave(rig)
      rig.stranger.runSeconds(5)
      expect(rig.stranger.take(REPORT)).toEqual([])
      expect(rig.host.multicast.isMember(rig.on, group)).toBe(true)
      leave(rig)
      rig.stranger.runSeconds(5)
      expect(rig.host.multicast.isMember(rig.on, group)).toBe(false)
      const heard = rig.stranger.takeHeard(REPORT)
      expect(heard.flatMap(recordsOf)).toEqual([
        { type: 3, group: String(group) },
        { type: 3, group: String(group) },
      ])
      expect(() => leave(rig)).toThrow(NetError)
    })
  })

  test('who leaves and joins again at once is last reported as a member', () => {
    for (let seed = 1; seed <= 20; seed++) {
      joined((rig) => {
        leave(rig)
        rig.stranger.run(millis(5))
        join(rig)
        rig.stranger.runSeconds(5)
        const types = rig.stranger
          .takeHeard(REPORT)
          .flatMap(recordsOf)
          .map(({ type }) => type)
        expect(types).toEqual([3, 4, 4])
      }, seed)
    }
  })

  test('a general query is answered once for each group, at some instant within the time it gives', () => {
    const instants: number[] = []
    for (let seed = 1; seed <= 50; seed++) {
      joined((rig) => {
        join(rig, other)
        rig.stranger.runSeconds(3)
        rig.stranger.take()
        const { now } = rig.world
        rig.stranger.tell(family.query(seconds(4)))
        rig.stranger.runSeconds(30)
        const heard = rig.stranger.takeHeard(REPORT).filter((one) => {
          const [record] = recordsOf(one)
          return record!.group === String(group) || record!.group === String(other)
        })
        expect(heard.map((one) => recordsOf(one)[0]!.type)).toEqual([2, 2])
        expect(new Set(heard.map((one) => recordsOf(one)[0]!.group)).size).toBe(2)
        for (const { at } of heard) instants.push(at - now)
      }, seed)
    }
    expect(Math.max(...instants)).toBeLessThanOrEqual(4_000_000)
    expect(Math.max(...instants)).toBeGreaterThan(3_000_000)
    expect(Math.min(...instants)).toBeLessThan(1_000_000)
  })

  test('a query for one group is answered for that group alone, one for another not at all', () => {
    joined((rig) => {
      join(rig, other)
      rig.stranger.runSeconds(3)
      rig.stranger.take()
      rig.stranger.tell(family.query(seconds(1), other))
      rig.stranger.runSeconds(2)
      expect(rig.stranger.takeHeard(REPORT).flatMap(recordsOf)).toEqual([{ type: 2, group: String(other) }])
      const nobodys = group.family === 4 ? ip('239.7.7.7') : ip('ff05::7')
      rig.stranger.tell(family.query(seconds(1), nobodys))
      rig.stranger.runSeconds(2)
      expect(rig.stranger.take(REPORT)).toEqual([])
    })
  })

  test('a second query before the answer gets no second answer', () => {
    joined((rig) => {
      rig.stranger.tell(family.query(seconds(10), group))
      rig.stranger.tell(family.query(seconds(10), group))
      rig.stranger.runSeconds(20)
      expect(rig.stranger.take(REPORT).length).toBe(1)
    })
  })

  test('a query that gives more time does not put off the answer to an earlier one', () => {
    for (let seed = 1; seed <= 10; seed++) {
      joined((rig) => {
        rig.stranger.tell(family.query(seconds(1), group))
        rig.stranger.tell(family.query(seconds(12), group))
        rig.stranger.runSeconds(1)
        expect(rig.stranger.take(REPORT).length).toBe(1)
      }, seed)
    }
  })

  test('after an older query the older report is sent, for 260 s (RFC 3376 §8.12, RFC 3810 §9.12)', () => {
    joined((rig) => {
      rig.stranger.tell(family.oldQuery(seconds(1), group))
      rig.stranger.runSeconds(2)
      expect(rig.stranger.take(REPORT)).toEqual([family.oldReportText(group)])
      leave(rig)
      rig.stranger.runSeconds(3)
      expect(rig.stranger.take(REPORT)).toEqual([family.oldLeaveText(group)])
      join(rig)
      rig.stranger.runSeconds(3)
      expect(rig.stranger.take(REPORT)).toEqual([family.oldReportText(group), family.oldReportText(group)])
      rig.stranger.runSeconds(250)
      rig.stranger.tell(family.query(seconds(1), group))
      rig.stranger.runSeconds(2)
      expect(rig.stranger.take(REPORT)).toEqual([family.oldReportText(group)])
      rig.stranger.tell(family.query(seconds(1), group))
      rig.stranger.runSeconds(2)
      expect(rig.stranger.takeHeard(REPORT).flatMap(recordsOf)).toEqual([{ type: 2, group: String(group) }])
    })
  })

  test('another member’s older report suppresses ours where the older version is spoken (RFC 2236 §3, RFC 2710 §4)', () => {
    joined((rig) => {
      rig.stranger.tell(family.oldQuery(seconds(10), group))
      rig.stranger.tell(family.oldReport(group))
      rig.stranger.runSeconds(20)
      expect(rig.stranger.take(REPORT)).toEqual([])
      rig.stranger.tell(family.oldQuery(seconds(10), group))
      rig.stranger.tell(family.oldReport(other))
      rig.stranger.runSeconds(20)
      expect(rig.stranger.take(REPORT)).toEqual([family.oldReportText(group)])
    })
  })

  test('but not where the newest is spoken, nor from nowhere', () => {
    joined((rig) => {
      rig.stranger.tell(family.query(seconds(10), group))
      rig.stranger.tell(family.oldReport(group))
      rig.stranger.runSeconds(20)
      expect(rig.stranger.take(REPORT).length).toBe(1)
      rig.stranger.tell(family.oldQuery(seconds(10), group))
      rig.stranger.tell(family.oldReport(group, group.family === 4 ? ANY4 : ANY6))
      rig.stranger.runSeconds(20)
      expect(rig.stranger.take(REPORT)).toEqual([family.oldReportText(group)])
    })
  })

  test('the group of all hosts is everybody’s, never reported, nor answered for', () => {
    quiet((rig) => {
      const all = group.family === 4 ? ALL_HOSTS4 : ALL_NODES6
      expect(rig.host.multicast.isMember(rig.on, all)).toBe(true)
      join(rig, all)
      rig.stranger.runSeconds(5)
      rig.stranger.tell(family.query(seconds(1)))
      rig.stranger.runSeconds(5)
      leave(rig, all)
      rig.stranger.runSeconds(5)
      const reported = rig.stranger.takeHeard(REPORT).flatMap(recordsOf)
      expect(reported.some((record) => record.group === String(all))).toBe(false)
      expect(rig.host.multicast.isMember(rig.on, all)).toBe(true)
    })
  })

  test('the group of all routers is that of routers', () => {
    const routers = group.family === 4 ? ip('224.0.0.2') : ip('ff02::2')
    quiet(({ host, on }) => expect(host.multicast.isMember(on, routers)).toBe(false))
    quiet(({ host, on }) => expect(host.multicast.isMember(on, routers)).toBe(true), SEED, { forwarding: true })
  })

  test('what is no group cannot be joined, and there is room for 1,024 on one interface', () => {
    quiet((rig) => {
      expect(() => join(rig, ip('10.0.0.9'))).toThrow(expect.objectContaining({ code: 'EINVAL' }))
      expect(() => join(rig, ip('2001:db8::9'))).toThrow(expect.objectContaining({ code: 'EINVAL' }))
      const numbered = (n: number): IpAddress =>
        group.family === 4 ? IpAddress.v4(0xef00_0000 + n) : new IpAddress(6, 0xff05_0000, 0, 0, n)
      const taken = rig.host.multicast.groups(rig.on).length
      for (let n = 0; n < GROUP_LIMIT - taken; n++) join(rig, numbered(n))
      expect(() => join(rig, numbered(5_000))).toThrow(expect.objectContaining({ code: 'ENOBUFS' }))
      join(rig, numbered(5))
      leave(rig, numbered(6))
      join(rig, numbered(5_000))
    })
  })

  test('groups joined and left in a hurry leave nothing behind', () => {
    quiet((rig) => {
      const numbered = (n: number): IpAddress =>
        group.family === 4 ? IpAddress.v4(0xef00_0000 + n) : new IpAddress(6, 0xff05_0000, 0, 0, n)
      for (let n = 0; n < 3 * GROUP_LIMIT; n++) {
        join(rig, numbered(n))
        leave(rig, numbered(n))
      }
      rig.stranger.runSeconds(5)
      const left = rig.stranger.takeHeard(REPORT).flatMap(recordsOf)
      expect(left.length).toBe(2 * GROUP_LIMIT)
      expect(new Set(left.map(({ type }) => type))).toEqual(new Set([3]))
      rig.stranger.tell(family.query(seconds(1)))
      rig.stranger.runSeconds(5)
      const groups = rig.stranger
        .takeHeard(REPORT)
        .flatMap(recordsOf)
        .map((record) => record.group)
      expect(groups.filter((text) => /^239|ff05/.test(text))).toEqual([])
    })
  })

  test('only members receive, and only on the interface where they joined', () => {
    quiet((rig) => {
      const { host, stranger } = rig
      const socket = new UdpSocket(host, { family: group.family, port: 7 })
      const source = group.family === 4 ? ip('10.0.0.2') : ROUTER6
      const datagram = udpFrame(new Uint8Array(1), { source, destination: group, port: 7 })
      stranger.tell(datagram)
      expect(socket.tryReceive()).toBeNull()
      expect(host.counters.drops.multicastNotJoined).toBe(1)
      const elsewhere = rig.world.attach(host, rig.world.cable().a, {})
      socket.joinGroup(group, elsewhere.index)
      stranger.tell(datagram)
      expect(socket.tryReceive()).toBeNull()
      socket.joinGroup(group, rig.on.index)
      stranger.tell(datagram)
      expect(socket.tryReceive()).toMatchObject({ destination: group, interfaceIndex: rig.on.index })
      expect(socket.tryReceive()).toBeNull()
      socket.leaveGroup(group, rig.on.index)
      stranger.tell(datagram)
      expect(socket.tryReceive()).toBeNull()
      socket.close()
      expect(host.multicast.isMember(elsewhere, group)).toBe(false)
    })
  })

  test('what we send to a group reaches our own members exactly once, and the link once', () => {
    quiet((rig) => {
      const { host, on, stranger } = rig
      const sockets = [0, 1].map(() => new UdpSocket(host, { family: group.family, port: 7, reuseAddress: true }))
      sockets[0]!.joinGroup(group, on.index)
      sockets[1]!.joinGroup(group, on.index)
      stranger.runSeconds(3)
      stranger.take()
      sockets[0]!.send(new Uint8Array(5), { address: group, port: 7, interfaceIndex: on.index })
      stranger.settle()
      expect(stranger.take(/UDP/).length).toBe(1)
      for (const socket of sockets) {
        expect(socket.tryReceive()).toMatchObject({ destination: group, interfaceIndex: on.index })
        expect(socket.tryReceive()).toBeNull()
        socket.close()
      }
      const outsider = new UdpSocket(host, { family: group.family, port: 7 })
      outsider.send(new Uint8Array(5), { address: group, port: 7, interfaceIndex: on.index })
      stranger.settle()
      expect(outsider.tryReceive()).toBeNull()
      outsider.close()
    })
  })
})

describe('IGMP version 1', () => {
  const group = ip('239.1.2.3')

  test('a version 1 query is answered in version 1, and leaving is not told (RFC 2236 §4)', () => {
    quiet(({ host, on, stranger, world }) => {
      host.multicast.join(on, group, world.now)
      stranger.runSeconds(3)
      stranger.take()
      stranger.tell(igmpFrame(IGMP_QUERY, ANY4, { source: ROUTER4, destination: ALL_HOSTS4 }))
      // A version 2 query meanwhile does not end it (RFC 3376 §7.2.1).
      stranger.tell(igmpFrame(IGMP_QUERY, ANY4, { source: ROUTER4, destination: ALL_HOSTS4 }, 100))
      stranger.runSeconds(11)
      expect(stranger.take(/igmp/)).toEqual([`IP 10.0.0.1 > ${group}: igmp v1 report ${group}`])
      host.multicast.leave(on, group, world.now)
      stranger.runSeconds(5)
      expect(stranger.take(/igmp/)).toEqual([])
    })
  })
})

describe('what is no query', () => {
  test.each<[string, Uint8Array]>([
    ['from a global address', mldV2Query(ANY6, { source: ip('2001:db8::9'), destination: ALL_NODES6 }, 1_000)],
    ['with hop limit 2', mldV2Query(ANY6, { source: ROUTER6, destination: ALL_NODES6, hopLimit: 2 }, 1_000)],
    ['from nowhere', mldV2Query(ANY6, { source: ANY6, destination: ALL_NODES6 }, 1_000)],
  ])('MLD %s (RFC 3810 §6.2)', (_what, bytes) => {
    quiet(({ host, stranger }) => {
      stranger.tell(bytes)
      stranger.runSeconds(5)
      expect(stranger.take(/listener/)).toEqual([])
      expect(host.counters.drops.multicastMalformed).toBe(1)
    })
  })

  test('IGMP with a wrong checksum, or of 9 bytes', () => {
    quiet(({ host, on, stranger, world }) => {
      host.multicast.join(on, ip('239.1.1.1'), world.now)
      stranger.runSeconds(3)
      stranger.take()
      const bad = igmpV3Query(ANY4, ROUTER4, 10)
      bad[14 + 20 + 2]! ^= 1
      stranger.tell(bad)
      stranger.runSeconds(5)
      expect(stranger.take(/igmp/)).toEqual([])
      expect(host.counters.drops.multicastMalformed).toBe(1)
    })
  })
})
