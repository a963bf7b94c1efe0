import fc from 'fast-check'
import { describe, expect, it, onTestFailed } from 'vitest'
import { Packet } from '../../src/buf/packet.ts'
import { UsageError } from '../../src/errors.ts'
import { Cable } from '../../src/link/cable.ts'
import type { EdgeDevice } from '../../src/link/edge-device.ts'
import { type FaultOptions, NO_FAULTS } from '../../src/link/fault-options.ts'
import { type Faults, faulty } from '../../src/link/faults.ts'
import { SeededRandom } from '../../src/random.ts'
import { micros, millis, NEVER } from '../../src/time.ts'
import { testPool } from '../support/pool.ts'
import { frame, log, numbers, upTo, VirtualClock } from './rig.ts'

const SEED = 0x5eed

function build(faults: Faults, seed = SEED) {
  onTestFailed(() => console.error(`seed ${seed}`))
  const pool = testPool()
  const clock = new VirtualClock()
  const cable = new Cable(clock, { queuePackets: 1e6 })
  const device = faulty(cable.a, faults, new SeededRandom(seed), clock)
  const out = log(cable.b, clock)
  const back = log(device, clock)
  const machines = [device, cable.b]
  /** Sends numbered frames `gap` apart, and runs until nothing is left to do. */
  const send = (count: number, gap = 0, length = 64) => {
    for (const number of upTo(count)) {
      device.transmit(frame(pool, number, { length }))
      clock.runTo(clock.instant + gap, machines)
    }
    clock.settle(machines)
    return out
  }
  return { pool, clock, cable, device, out, back, machines, send }
}

const outbound = (options: Partial<FaultOptions>): Faults => ({ outbound: options })

/** Five standard deviations of a binomial count: missed by luck once in two million runs. */
const expectCount = (count: number, trials: number, probability: number) =>
  expect(Math.abs(count - trials * probability)).toBeLessThan(5 * Math.sqrt(trials * probability * (1 - probability)))

describe('faulty', () => {
  it('changes nothing where no knob is turned, and draws nothing', () => {
    const { send, out } = build({})
    send(100, 7)
    expect(numbers(out)).toEqual(upTo(100))
    expect(out.map(({ at }) => at)).toEqual(upTo(100).map((n) => n * 7))
  })

  it('offers no offloads, and is called and shaped like the device inside', () => {
    const { device, cable } = build({})
    expect(device).toMatchObject({ name: 'cable-a', medium: 'ethernet', mtu: cable.a.mtu })
    expect(device.offloads).toEqual({ checksum: false, segmentBytes: 0 })
  })

  it('loses as many packets as it says, in each direction by itself', () => {
    const { device, cable, send, out, back, clock, machines, pool } = build({
      outbound: { loss: 0.1 },
      inbound: { loss: 0.3 },
    })
    send(10_000)
    for (const number of upTo(10_000)) cable.b.transmit(frame(pool, number))
    clock.settle(machines)
    expectCount(10_000 - out.length, 10_000, 0.1)
    expectCount(10_000 - back.length, 10_000, 0.3)
    expect(device.outbound.counters.drops.faultLoss).toBe(10_000 - out.length)
    expect(device.inbound.counters.drops.faultLoss).toBe(10_000 - back.length)
  })

  it('does not let traffic one way change what happens the other way', () => {
    const run = (inboundFirst: number) => {
      const { send, cable, clock, machines, pool } = build({ outbound: { loss: 0.5 }, inbound: { loss: 0.5 } })
      for (const number of upTo(inboundFirst)) cable.b.transmit(frame(pool, number))
      clock.settle(machines)
      return numbers(send(200))
    }
    expect(run(57)).toEqual(run(0))
  })

  it('loses in bursts (Gilbert, Elliott) of the stated share and mean length', () => {
    const { device, send } = build(outbound({ pGoodToBad: 0.01, pBadToGood: 0.2, lossBad: 1 }))
    const count = 50_000
    const arrived = numbers(send(count))
    const bursts: number[] = []
    let expected = 0
    for (const number of [...arrived, count]) {
      if (number > expected) bursts.push(number - expected)
      expected = number + 1
    }
    // Mean length 1 / 0.2, geometric with a deviation of sqrt(0.8) / 0.2 each; about 50,000 / (100 + 5) bursts.
    const mean = bursts.reduce((sum, length) => sum + length, 0) / bursts.length
    expect(Math.abs(mean - 5)).toBeLessThan((5 * Math.sqrt(0.8)) / 0.2 / Math.sqrt(bursts.length))
    expect(Math.abs(bursts.length - count / 105)).toBeLessThan(5 * Math.sqrt(count / 105))
    expect(device.outbound.counters.drops.faultBurst).toBe(count - arrived.length)
  })

  it('loses in the bad state only as often as lossBad says', () => {
    const { send } = build(outbound({ pGoodToBad: 1, pBadToGood: 0, lossBad: 0.5 }))
    expectCount(10_000 - send(10_000).length, 10_000, 0.5)
  })

  it('drops what a script says, by packet and index', () => {
    const seen: number[] = []
    const { send, device } = build(
      outbound({
        drop: (packet, index) => {
          seen.push(index)
          return index === 2 || packet.length === 0
        },
      }),
    )
    expect(numbers(send(5))).toEqual([0, 1, 3, 4])
    expect(seen).toEqual(upTo(5))
    expect(device.outbound.counters.drops.faultScripted).toBe(1)
  })

  it('duplicates with pages of their own', () => {
    const { device, pool, cable, clock } = build(outbound({ duplicate: 1 }))
    const got: Packet[] = []
    cable.b.onReceive = (packet) => got.push(packet)
    device.transmit(frame(pool, 1))
    cable.b.poll(clock.now())
    expect(got.map(({ note, page }) => [note, page.references])).toEqual([
      ['', 1],
      ['duplicate', 1],
    ])
    expect(got[0]!.toBytes()).toEqual(got[1]!.toBytes())
    for (const packet of got) packet.release()
  })

  it('lets exactly so many later packets pass a reordered one', () => {
    let first = true
    const { device, send } = build(
      outbound({
        reorder: 1,
        reorderPackets: 2,
        reorderDelay: millis(50),
        drop: () => {
          if (!first) device.outbound.configure({})
          first = false
          return false
        },
      }),
    )
    expect(numbers(send(6, 1))).toEqual([1, 2, 0, 3, 4, 5])
    expect(device.outbound.reordered).toBe(1)
  })

  it('counts the packets that pass as they leave where all are delayed', () => {
    const { device, pool, clock, machines, out } = build(
      outbound({ reorder: 1, reorderPackets: 1, delay: millis(5), reorderDelay: millis(50) }),
    )
    device.transmit(frame(pool, 0))
    device.outbound.configure({ delay: millis(5) })
    clock.runTo(1_000, machines)
    device.transmit(frame(pool, 1))
    clock.settle(machines)
    expect(out).toEqual([
      { at: 6_000, number: 1 },
      { at: 6_000, number: 0 },
    ])
  })

  it('releases a reordered packet after its time where too few follow', () => {
    const { device, pool, clock, machines, out } = build(
      outbound({ reorder: 1, reorderPackets: 9, reorderDelay: millis(3) }),
    )
    device.transmit(frame(pool, 0))
    expect(device.deadline()).toBe(3_000)
    clock.settle(machines)
    expect(out).toEqual([{ at: 3_000, number: 0 }])
  })

  it('reorders by time as often as it says, and loses nothing', () => {
    const { send, device } = build(outbound({ reorder: 0.1, reorderDelay: millis(5) }))
    const arrived = numbers(send(5_000, 1_000))
    expect([...arrived].sort((a, b) => a - b)).toEqual(upTo(5_000))
    expectCount(device.outbound.reordered, 5_000, 0.1)
    const overtaken = arrived.filter((number, index) => arrived.slice(index + 1, index + 20).some((n) => n < number))
    expect(overtaken.length).toBeGreaterThan(1_000)
  })

  it('flips exactly the bits it says in a copy, and never writes to a page that others hold', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.nat(), (bytes, seed) => {
        const { device, cable, pool, clock } = build(outbound({ corrupt: 1, corruptBits: 1 }), seed)
        // A linear part and a fragment, both held by others as well.
        const packet = frame(pool, 7)
        packet.append(
          Packet.from(
            pool,
            Uint8Array.from({ length: bytes }, (_, index) => index),
          )!,
        )
        const witness = packet.clone()
        const before = witness.toBytes()
        let flipped = 0
        cable.b.onReceive = (received) => {
          const after = received.toBytes()
          expect(after.length).toBe(before.length)
          after.forEach((byte, index) => {
            flipped += (byte ^ before[index]!).toString(2).replaceAll('0', '').length
          })
          expect([received.note, received.checksum]).toEqual(['corrupted', 'unchecked'])
          received.release()
        }
        device.transmit(packet)
        cable.b.poll(clock.now())
        expect([flipped, device.outbound.corrupted]).toEqual([1, 1])
        expect(witness.toBytes()).toEqual(before)
        witness.release()
      }),
      { numRuns: 100 },
    )
  })

  it('completes a partial checksum before it flips bits, so that the receiver can notice', () => {
    const { device, cable, pool, clock } = build(outbound({ corrupt: 1 }))
    const packet = frame(pool, 0)
    packet.checksum = 'partial'
    packet.checksumStart = packet.data + 34
    packet.checksumField = packet.data + 50
    const states: string[] = []
    cable.b.onReceive = (received) => {
      states.push(received.checksum)
      received.release()
    }
    device.transmit(packet)
    cable.b.poll(clock.now())
    expect(states).toEqual(['unchecked'])
  })

  it.each(['uniform', 'normal'] as const)('keeps the order under %s jitter, and stays within it', (jitterShape) => {
    const { send } = build(outbound({ delay: millis(10), jitter: millis(3), jitterShape }))
    const out = send(3_000, 100)
    expect(numbers(out)).toEqual(upTo(3_000))
    const least = jitterShape === 'uniform' ? 10_000 : 1_000
    const most = jitterShape === 'uniform' ? 13_000 : 19_000
    for (const { at, number } of out) {
      expect(at - number * 100).toBeGreaterThanOrEqual(least)
      expect(at - number * 100).toBeLessThanOrEqual(most)
    }
  })

  it('spreads jitter as its shape says where packets are far apart', () => {
    const spread = (jitterShape: 'uniform' | 'normal') => {
      const { send } = build(outbound({ delay: millis(10), jitter: millis(3), jitterShape }))
      const ways = send(4_000, 30_000).map(({ at, number }) => at - number * 30_000)
      const mean = ways.reduce((sum, way) => sum + way, 0) / ways.length
      return [mean, Math.sqrt(ways.reduce((sum, way) => sum + (way - mean) ** 2, 0) / ways.length)]
    }
    const [flatMean, flatDeviation] = spread('uniform')
    expect(Math.abs(flatMean! - 11_500)).toBeLessThan((5 * 866) / Math.sqrt(4_000))
    expect(Math.abs(flatDeviation! - 866)).toBeLessThan(50)
    const [bellMean, bellDeviation] = spread('normal')
    expect(Math.abs(bellMean! - 10_000)).toBeLessThan((5 * 3_000) / Math.sqrt(4_000))
    expect(Math.abs(bellDeviation! - 3_000)).toBeLessThan(200)
  })

  it('lets jitter reorder where told', () => {
    const { send } = build(outbound({ jitter: millis(3), jitterReorders: true }))
    const arrived = numbers(send(500, 100))
    expect(arrived).not.toEqual(upTo(500))
    expect([...arrived].sort((a, b) => a - b)).toEqual(upTo(500))
  })

  it('drops what finds no tokens, exactly', () => {
    // 1,000 bytes a millisecond, 3,000 at once: of packets of 1,000 bytes every 500 us every second one passes in the end.
    const { send, device } = build(outbound({ bitsPerSecond: 8_000_000, bucketBytes: 3_000 }))
    const arrived = numbers(send(20, 500, 1_000))
    expect(arrived).toEqual([0, 1, 2, 3, 4, 6, 8, 10, 12, 14, 16, 18])
    expect(device.outbound.counters.drops.faultRate).toBe(8)
  })

  it('queues what finds no tokens where told, and sends it at the very instant they are there', () => {
    const { send } = build(outbound({ bitsPerSecond: 8_000_000, bucketBytes: 2_000, bucketQueues: true }))
    expect(send(6, 0, 1_000)).toEqual([0, 0, 1, 2, 3, 4].map((ms, number) => ({ at: ms * 1_000, number })))
  })

  it('holds a bounded number of packets', () => {
    const slow = build(outbound({ delay: millis(1), heldPackets: 3 }))
    expect(slow.send(5)).toHaveLength(3)
    expect(slow.device.outbound.counters.drops.deviceFull).toBe(2)
    const limited = build(outbound({ bitsPerSecond: 1e6, bucketBytes: 64, bucketQueues: true, heldPackets: 3 }))
    expect(limited.send(6)).toHaveLength(4)
    expect(limited.device.outbound.counters.drops.faultRate).toBe(2)
  })

  it('loses everything while it is partitioned, and can be changed at run time', () => {
    const { send, device, out } = build(outbound({ partitioned: true }))
    send(3)
    expect(out).toEqual([])
    expect(device.outbound.counters.drops.faultPartition).toBe(3)
    device.outbound.configure({})
    send(2)
    expect(numbers(out)).toEqual([0, 1])
  })

  it('delays what comes in as well', () => {
    const { cable, clock, machines, back, pool } = build({ inbound: { delay: millis(4) } })
    cable.b.transmit(frame(pool, 1))
    clock.settle(machines)
    expect(back).toEqual([{ at: 4_000, number: 1 }])
  })

  it('repeats itself for a seed, with everything turned on', () => {
    const all = outbound({
      loss: 0.05,
      pGoodToBad: 0.02,
      duplicate: 0.05,
      reorder: 0.1,
      corrupt: 0.05,
      jitter: millis(2),
      jitterReorders: true,
    })
    const run = (seed: number) =>
      build(all, seed)
        .send(2_000, 300)
        .map(({ at, number }) => `${at} ${number}`)
    expect(run(1)).toEqual(run(1))
    expect(run(2)).not.toEqual(run(1))
  })

  it('holds no page after it was closed with packets held, and takes none', () => {
    const { device, cable, pool } = build({
      outbound: { delay: millis(5), reorder: 0.5, reorderPackets: 3 },
      inbound: { delay: millis(5) },
    })
    for (const number of upTo(20)) device.transmit(frame(pool, number))
    cable.b.transmit(frame(pool, 1))
    device.poll(micros(0))
    expect(device.outbound.heldPackets + device.inbound.heldPackets).toBe(21)
    device.close()
    expect(device.transmit(frame(pool, 1))).toBe(false)
    expect([pool.inUse, device.deadline()]).toEqual([0, NEVER])
    cable.close()
  })

  it('survives being closed by whoever gets a packet', () => {
    const { device, cable, pool, clock, machines } = build({ inbound: { delay: millis(5) } })
    let got = 0
    device.onReceive = (packet) => {
      got++
      packet.release()
      device.close()
    }
    for (const number of upTo(5)) cable.b.transmit(frame(pool, number))
    clock.settle(machines)
    expect([got, pool.inUse]).toEqual([1, 0])
    cable.close()
  })

  it('stays an edge device where the device inside is one', () => {
    const { cable, clock } = build({})
    const calls: string[] = []
    const edge: EdgeDevice = Object.assign(cable.b, {
      drain: (budget: number) => budget,
      arm: () => void calls.push('arm'),
      onReadable: null,
      onFailure: null,
    })
    const device = faulty(edge, {}, new SeededRandom(1), clock)
    device.onReadable = () => void calls.push('readable')
    device.onFailure = (error) => void calls.push(error.message)
    device.arm()
    edge.onReadable!()
    edge.onFailure!(new Error('gone'))
    expect([device.drain(5), calls]).toEqual([5, ['arm', 'readable', 'gone']])
    expect('drain' in faulty(cable.a, {}, new SeededRandom(1), clock)).toBe(false)
  })

  it.each([
    { loss: 1.1 },
    { lossBad: -0.1 },
    { corrupt: Number.NaN },
    { delay: micros(-1) },
    { bucketBytes: 0 },
    { bitsPerSecond: 0 },
    { heldPackets: 1.5 },
    { jitterShape: 'flat' as 'normal' },
    { lost: 1 } as Partial<FaultOptions>,
  ])('refuses %o', (options) => {
    expect(() => build(outbound(options))).toThrow(UsageError)
    expect(() => build({}).device.inbound.configure(options)).toThrow(UsageError)
  })

  it('refuses a direction that there is not, such as a fault outside of both', () => {
    expect(() => build({ loss: 0.1 } as Faults)).toThrow(/no direction 'loss': give those of outbound/)
  })

  it('has every knob at rest by default', () => {
    const probabilities = [
      NO_FAULTS.loss,
      NO_FAULTS.pGoodToBad,
      NO_FAULTS.lossGood,
      NO_FAULTS.duplicate,
      NO_FAULTS.reorder,
    ]
    expect(probabilities).toEqual([0, 0, 0, 0, 0])
  })
})
