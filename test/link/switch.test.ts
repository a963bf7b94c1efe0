import { describe, expect, it } from 'vitest'
import type { Packet } from '../../src/buf/packet.ts'
import { UsageError } from '../../src/errors.ts'
import { Cable } from '../../src/link/cable.ts'
import { MacTable } from '../../src/link/mac-table.ts'
import { Switch, type SwitchPort } from '../../src/link/switch.ts'
import { micros, millis, NEVER, seconds } from '../../src/time.ts'
import { BROADCAST_MAC, ETHERTYPE_IPV4, etherType, MacAddress } from '../../src/wire/ethernet.ts'
import { testPool } from '../support/pool.ts'
import { type Arrival, frame, log, mac, numbers, VirtualClock } from './rig.ts'

const AGEING = seconds(300)

function build(count: number, options: { stations?: number } = {}) {
  const pool = testPool()
  const clock = new VirtualClock()
  const bridge = new Switch(clock, options)
  const ports: SwitchPort[] = []
  const arrivals: Arrival[][] = []
  for (let index = 0; index < count; index++) {
    const port = bridge.port()
    ports.push(port)
    arrivals.push(log(port, clock))
  }
  /** Sends one frame and says which ports got it. */
  const send = (port: number, from: MacAddress, to: MacAddress): number[] => {
    for (const list of arrivals) list.length = 0
    ports[port]!.transmit(frame(pool, 1, { from, to }))
    clock.settle(ports)
    return arrivals.flatMap((list, index) => list.map(() => index))
  }
  return { pool, clock, bridge, ports, arrivals, send }
}

describe('Switch', () => {
  it('floods to all ports but the one it came from until it knows the station, then sends to that port alone', () => {
    const { send, bridge } = build(4)
    expect(send(0, mac(1), mac(2))).toEqual([1, 2, 3])
    expect(send(2, mac(2), mac(1))).toEqual([0])
    expect(send(0, mac(1), mac(2))).toEqual([2])
    expect(bridge.stations).toBe(2)
  })

  it('floods broadcast and multicast always', () => {
    const { send } = build(3)
    send(1, mac(2), mac(1))
    expect(send(0, mac(1), BROADCAST_MAC)).toEqual([1, 2])
    expect(send(0, mac(1), MacAddress.from('33:33:00:00:00:01'))).toEqual([1, 2])
  })

  it('follows a station that moves to another port', () => {
    const { send } = build(3)
    send(1, mac(9), mac(1))
    expect(send(0, mac(1), mac(9))).toEqual([1])
    send(2, mac(9), mac(1))
    expect(send(0, mac(1), mac(9))).toEqual([2])
  })

  it('never sends a frame back to where it came from', () => {
    const { send, bridge } = build(2)
    send(0, mac(1), mac(7))
    expect(send(0, mac(2), mac(1))).toEqual([])
    expect(bridge.counters.drops.switchFiltered).toBe(1)
  })

  it('drops frames from group addresses, and those to the reserved ones of IEEE 802.1D table 7-10', () => {
    const { send, bridge } = build(2)
    expect(send(0, BROADCAST_MAC, mac(1))).toEqual([])
    expect(send(0, MacAddress.from('01:00:5e:00:00:01'), mac(1))).toEqual([])
    expect(send(0, mac(3), MacAddress.from('01:80:c2:00:00:0e'))).toEqual([])
    expect(send(0, mac(3), MacAddress.from('01:80:c2:00:00:10'))).toEqual([1])
    expect(bridge.counters.drops).toMatchObject({ switchBadSource: 2, switchFiltered: 1 })
    expect(bridge.stations).toBe(1)
  })

  it('forgets a station that was silent for 300 seconds (IEEE 802.1D table 7-5)', () => {
    const { send, clock } = build(3)
    send(1, mac(2), mac(1))
    clock.instant += AGEING - 1
    expect(send(0, mac(1), mac(2))).toEqual([1])
    clock.instant += 1
    expect(send(0, mac(1), mac(2))).toEqual([1, 2])
  })

  it('keeps the stations of other ports through a flood of sources, still learns new ones there, and does not grow', () => {
    const { send, bridge, pool, ports, clock } = build(3, { stations: 64 })
    for (let host = 0; host < 20; host++) send(1, mac(100 + host), mac(1))
    for (let fake = 0; fake < 5_000; fake++) {
      ports[0]!.transmit(frame(pool, fake, { from: mac(10_000 + fake), to: mac(100) }))
      if (fake % 100 === 0) clock.settle(ports)
    }
    clock.settle(ports)
    expect(bridge.stations).toBe(64)
    expect(bridge.counters.drops.switchTableFull).toBe(5_000 - 44)
    for (let host = 0; host < 20; host++) expect(send(2, mac(1), mac(100 + host))).toEqual([1])
    send(2, mac(77), mac(1))
    expect(send(1, mac(100), mac(77))).toEqual([2])
    expect(bridge.stations).toBe(64)
  })

  it('gives each receiver a head that it may write to', () => {
    const { ports, pool, clock } = build(4)
    const seen: Packet[] = []
    for (const port of ports) port.onReceive = (packet) => seen.push(packet)
    const packet = frame(pool, 1, { length: 64 })
    const payload = frame(pool, 2, { length: 500 })
    packet.append(payload)
    ports[0]!.transmit(packet)
    clock.settle(ports)
    expect(seen).toHaveLength(3)
    seen.forEach((copy, index) => {
      expect(copy.page.references).toBe(1)
      copy.push(4)
      copy.page.view.setUint32(copy.data + 20, index)
    })
    expect(seen.map((copy) => copy.page.view.getUint32(copy.data + 20))).toEqual([0, 1, 2])
    for (const copy of seen) copy.release()
  })

  it('adds the delays of both ports on the way', () => {
    const pool = testPool()
    const clock = new VirtualClock()
    const bridge = new Switch(clock)
    const near = bridge.port({ delay: millis(1), bitsPerSecond: 8e6 })
    const far = bridge.port({ delay: millis(10) })
    const arrivals = log(far, clock)
    log(near, clock)
    near.transmit(frame(pool, 5, { length: 1_000 }))
    clock.settle([near, far])
    expect(arrivals).toEqual([{ at: 1_000 + 1_000 + 10_000, number: 5 }])
  })

  it('bridges any device, and completes and cuts for those that cannot', () => {
    const pool = testPool()
    const clock = new VirtualClock()
    const bridge = new Switch(clock)
    const host = bridge.port()
    const able = new Cable(clock, { offloads: { checksum: true, segmentBytes: 65_536 } })
    bridge.attach(able.b)
    const arrivals = log(host, clock)
    log(able.a, clock)
    const packet = frame(pool, 3, { length: 200 })
    packet.checksum = 'partial'
    packet.checksumStart = packet.data + 34
    packet.checksumField = packet.data + 40
    able.a.transmit(packet)
    clock.settle([able.a, host, bridge])
    expect(numbers(arrivals)).toEqual([3])
    const large = frame(pool, 0x4500_0000, { length: 54 })
    const { view } = large.page
    view.setUint8(large.data + 46, 0x50)
    large.checksum = 'partial'
    large.checksumStart = large.data + 34
    large.checksumField = large.data + 50
    large.segmentKind = 'tcp4'
    large.segmentBytes = 1_000
    large.append(frame(pool, 4, { length: 1_500 }))
    large.append(frame(pool, 5, { length: 1_000 }))
    const lengths: number[] = []
    host.onReceive = (part) => {
      lengths.push(part.length)
      expect(
        [mac(2), mac(1)].every((address, index) =>
          address.equals(MacAddress.read(part.page.view, part.data + index * 6)),
        ),
      ).toBe(true)
      expect(etherType(part.page.view, part.data)).toBe(ETHERTYPE_IPV4)
      part.release()
    }
    able.a.transmit(large)
    clock.settle([able.a, host, bridge])
    expect(lengths).toEqual([1_054, 1_054, 554])
    expect(() => bridge.attach(new Cable(clock, { medium: 'ip' }).a)).toThrow(UsageError)
  })

  it('has a bounded number of ports', () => {
    const bridge = new Switch(new VirtualClock(), { ports: 1 })
    bridge.port()
    expect(() => bridge.port()).toThrow(UsageError)
  })

  it('holds no page after it was closed with frames on the way', () => {
    const { pool, ports, bridge } = build(3)
    for (const port of ports) port.transmit(frame(pool, 1))
    for (const port of ports) port.close()
    bridge.close()
    expect([pool.inUse, bridge.deadline()]).toEqual([0, NEVER])
  })
})

describe('MacTable', () => {
  it('replaces aged stations before it refuses new ones', () => {
    const table = new MacTable(2)
    expect([table.learn(1, 0, micros(0)), table.learn(2, 0, micros(1))]).toEqual([true, true])
    expect(table.learn(3, 0, micros(2))).toBe(false)
    expect(table.learn(3, 0, AGEING)).toBe(true)
    expect([1, 2, 3].map((key) => table.lookup(key, AGEING))).toEqual([-1, 0, 0])
    expect([table.size, table.refused]).toEqual([2, 1])
  })

  it('forgets a port as a whole', () => {
    const table = new MacTable()
    table.learn(1, 0, micros(0))
    table.learn(2, 1, micros(0))
    table.forgetPort(0)
    expect([table.lookup(1, micros(0)), table.lookup(2, micros(0)), table.size]).toEqual([-1, 1, 1])
  })
})
