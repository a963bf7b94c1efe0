// The driver as NAPI has it: batches within a budget, one timer for all deadlines, and devices that are armed and disarmed.

import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Packet } from '../../src/buf/packet.ts'
import { NO_OFFLOADS } from '../../src/link/device.ts'
import type { EdgeDevice } from '../../src/link/edge-device.ts'
import { Batch } from '../../src/node/batch.ts'
import { type AdvancingClock, BatchClock } from '../../src/node/clock.ts'
import { Driver, type DriverOptions } from '../../src/node/driver.ts'
import { type Machine, type Micros, NEVER } from '../../src/time.ts'

/** Frames are only counted: what waits, and what was drained in each call. */
class FakeDevice implements EdgeDevice {
  readonly name = 'fake0'
  readonly medium = 'ethernet'
  readonly mtu = 1_500
  readonly offloads = NO_OFFLOADS
  readonly macAddress = null
  onReceive: ((packet: Packet) => void) | null = null
  onReadable: (() => void) | null = null
  onFailure: ((error: Error) => void) | null = null
  waiting = 0
  batches: number[] = []
  armed = 0
  closed = 0

  drain(budget: number): number {
    const count = Math.min(budget, this.waiting)
    this.waiting -= count
    if (count > 0) this.batches.push(count)
    return count
  }
  arm(): void {
    this.armed++
  }
  transmit(packet: Packet): boolean {
    packet.release()
    return true
  }
  deadline(): Micros {
    return NEVER
  }
  poll(): void {}
  close(): void {
    this.closed++
  }
}

class FakeMachine implements Machine {
  dueAt: Micros = NEVER
  polls: number[] = []
  onPoll: ((now: Micros) => void) | null = null

  deadline(): Micros {
    return this.dueAt
  }
  poll(now: Micros): void {
    this.polls.push(now)
    if (now >= this.dueAt) this.dueAt = NEVER
    this.onPoll?.(now)
  }
}

/** A clock on the fake timers of vitest. */
class FakeClock implements AdvancingClock {
  private instant = 1 as Micros
  now(): Micros {
    return this.instant
  }
  wall(): Micros {
    return this.instant
  }
  advance(): Micros {
    this.instant = (Date.now() * 1_000 + 1) as Micros
    return this.instant
  }
}

const drivers: Driver[] = []

function drive(options: Partial<DriverOptions> = {}) {
  const machine = new FakeMachine()
  const device = new FakeDevice()
  const driver = new Driver({ machine, clock: new FakeClock(), devices: [device], spinMicros: 0, ...options })
  drivers.push(driver)
  return { machine, device, driver }
}

/** Lets everything happen that needs no time; the fake clock counts a millisecond for each turn of the loop. */
const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(20)

function fakeTime(): void {
  vi.useFakeTimers({ now: 0, toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'Date'] })
}

afterEach(() => {
  for (const driver of drivers.splice(0)) driver.close()
  Batch.waiting = 0
  Batch.endTurn()
  vi.useRealTimers()
})

describe('the driver', () => {
  it('drains in batches of the budget, polls after each, then arms and sleeps', async () => {
    fakeTime()
    const { machine, device, driver } = drive()
    device.waiting = 150
    await settle()
    expect(device.batches).toEqual([64, 64, 22])
    expect(machine.polls.length).toBeGreaterThanOrEqual(3)
    expect(device.armed).toBe(1)
    expect(driver.info()).toMatchObject({ frames: 150, fullBatches: 2, sleeps: 1 })
  })

  it('wakes up when a device has something, and arms it again afterwards', async () => {
    fakeTime()
    const { device } = drive()
    await vi.advanceTimersByTimeAsync(1)
    expect(device.armed).toBe(1)
    device.waiting = 1
    device.onReadable?.()
    await vi.advanceTimersByTimeAsync(1)
    expect(device.batches).toEqual([1])
    expect(device.armed).toBe(2)
  })

  it('polls the machine at its deadline, by one timer', async () => {
    fakeTime()
    const { machine, driver } = drive()
    await vi.advanceTimersByTimeAsync(1)
    machine.dueAt = 50_000 as Micros
    driver.wake()
    await vi.advanceTimersByTimeAsync(45)
    const before = machine.polls.length
    await vi.advanceTimersByTimeAsync(10)
    expect(machine.polls.length).toBeGreaterThan(before)
    expect(machine.dueAt).toBe(NEVER)
    expect(driver.info().timers).toBe(1)
  })

  it('moves the timer when a deadline becomes earlier, and leaves it when it becomes later', async () => {
    fakeTime()
    const { machine, driver } = drive()
    await vi.advanceTimersByTimeAsync(1)
    machine.dueAt = 500_000 as Micros
    driver.wake()
    await vi.advanceTimersByTimeAsync(5)
    machine.dueAt = 20_000 as Micros
    driver.wake()
    await vi.advanceTimersByTimeAsync(25)
    expect(machine.dueAt).toBe(NEVER)
    expect(driver.info().timers).toBe(1)

    machine.dueAt = 100_000 as Micros
    driver.wake()
    await vi.advanceTimersByTimeAsync(5)
    machine.dueAt = 300_000 as Micros
    driver.wake()
    await vi.advanceTimersByTimeAsync(200)
    expect(machine.dueAt).toBe(300_000)
    await vi.advanceTimersByTimeAsync(200)
    expect(machine.dueAt).toBe(NEVER)
  })

  it('never comes back before a deadline only to find nothing due, and never later than two milliseconds after it', async () => {
    fakeTime()
    const { machine, driver } = drive()
    await vi.advanceTimersByTimeAsync(1)
    for (const length of [300, 900, 1_000, 1_100, 7_300]) {
      const due = (Date.now() * 1_000 + 1 + length) as Micros
      machine.dueAt = due
      machine.polls = []
      const { timers } = driver.info()
      driver.wake()
      await vi.advanceTimersByTimeAsync(20)
      const hit = machine.polls.find((now) => now >= due)
      expect(hit).toBeDefined()
      // One that found nothing due would have been set once more.
      expect(driver.info().timers - timers).toBeLessThanOrEqual(1)
      expect(hit! - due).toBeLessThanOrEqual(2_000)
    }
  })

  it('sends what the application caused within the same turn of the loop, once for many calls', async () => {
    fakeTime()
    const { machine, driver } = drive()
    await vi.advanceTimersByTimeAsync(1)
    machine.polls = []
    for (let count = 0; count < 10; count++) driver.wake()
    expect(machine.polls).toEqual([])
    await Promise.resolve()
    expect(machine.polls.length).toBe(1)
  })

  it('may be woken from inside a poll', async () => {
    fakeTime()
    const { machine, driver } = drive()
    let left = 3
    machine.onPoll = () => {
      if (left-- > 0) driver.wake()
    }
    await vi.advanceTimersByTimeAsync(1)
    expect(left).toBeLessThan(0)
  })

  it('goes on looking for the time it was given before it sleeps', async () => {
    fakeTime()
    let instant = 1
    const clock: AdvancingClock = {
      now: () => instant as Micros,
      wall: () => instant as Micros,
      advance: () => (instant += 10) as Micros,
    }
    const { device, driver } = drive({ clock, spinMicros: 100 })
    device.waiting = 1
    await settle()
    expect(device.batches).toEqual([1])
    expect(device.armed).toBe(1)
    expect(driver.info().spins).toBeGreaterThan(1)
    expect(instant).toBeGreaterThan(100)
    expect(instant).toBeLessThan(200)
  })

  it('takes a failed device out, closes it and reports it, and goes on with the others', async () => {
    fakeTime()
    const failures: string[] = []
    const { device, driver } = drive({ onFailure: (failed, error) => failures.push(`${failed.name} ${error.message}`) })
    const second = new FakeDevice()
    driver.add(second)
    await vi.advanceTimersByTimeAsync(1)
    device.onFailure?.(new Error('gone'))
    expect(failures).toEqual(['fake0 gone'])
    expect(device.closed).toBe(1)
    device.waiting = 5
    second.waiting = 3
    second.onReadable?.()
    await vi.advanceTimersByTimeAsync(1)
    expect(device.batches).toEqual([])
    expect(second.batches).toEqual([3])
  })

  it('polls a last time when it is closed, and never again', async () => {
    fakeTime()
    const { machine, device, driver } = drive()
    await vi.advanceTimersByTimeAsync(1)
    machine.polls = []
    machine.dueAt = 5_000 as Micros
    driver.wake()
    driver.close()
    driver.close()
    expect(machine.polls.length).toBe(1)
    expect(device.onReadable).toBeNull()
    await vi.advanceTimersByTimeAsync(50)
    expect(machine.polls.length).toBe(1)
  })

  it('lets timers and other I/O have their turn while a flood comes in that never ends', async () => {
    const { device, driver } = drive({ clock: new BatchClock() })
    device.waiting = Number.MAX_SAFE_INTEGER
    const started = performance.now()
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(performance.now() - started).toBeLessThan(500)
    expect(driver.info().fullBatches).toBeGreaterThan(10)
  })

  it('lets timers have their turn while the machine owes output without end', async () => {
    const { machine, driver } = drive({ clock: new BatchClock() })
    machine.onPoll = () => {
      machine.dueAt = 0 as Micros
    }
    driver.wake()
    const started = performance.now()
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(performance.now() - started).toBeLessThan(500)
    expect(machine.polls.length).toBeGreaterThan(10)
  })
})

describe('output, while other sockets wait for their turn,', () => {
  /** Each turn of a socket writes, and takes `micros`. Returns after which of the turns there was a poll. */
  async function pollsAfter(turns: number, micros: number): Promise<number[]> {
    let instant = 1
    const clock: AdvancingClock = {
      now: () => instant as Micros,
      wall: () => instant as Micros,
      advance: () => instant as Micros,
    }
    const { machine, driver } = drive({ clock })
    await vi.advanceTimersByTimeAsync(1)
    const polled: number[] = []
    Batch.waiting = turns
    for (let turn = 0; turn < turns; turn++) {
      machine.polls = []
      Batch.waiting--
      instant += micros
      driver.wake(true)
      driver.wake(true)
      await Promise.resolve()
      Batch.endTurn()
      expect(machine.polls.length).toBeLessThanOrEqual(1)
      if (machine.polls.length > 0) polled.push(turn)
    }
    return polled
  }

  async function asleep() {
    fakeTime()
    const driven = drive()
    await vi.advanceTimersByTimeAsync(1)
    driven.machine.polls = []
    return driven
  }

  it('leaves with theirs, in one poll when the last one is over', async () => {
    fakeTime()
    expect(await pollsAfter(10, 20)).toEqual([9])
  })

  it('waits no longer than a quarter of a millisecond and the turn that is under way', async () => {
    fakeTime()
    expect(await pollsAfter(30, 20)).toEqual([12, 25, 29])
    expect(await pollsAfter(3, 5_000)).toEqual([0, 1, 2])
  })

  it('leaves when a turn is over that wrote nothing, and is not held twice', async () => {
    const { machine, driver } = await asleep()
    Batch.waiting = 1
    driver.wake(true)
    Batch.waiting = 0
    Batch.endTurn()
    expect(machine.polls.length).toBe(1)
    Batch.endTurn()
    expect(machine.polls.length).toBe(1)
  })

  it('leaves at once where it is said that it must not wait', async () => {
    const { machine, driver } = await asleep()
    Batch.waiting = 2
    driver.wake(true)
    driver.wake()
    await Promise.resolve()
    expect(machine.polls.length).toBe(1)
    Batch.waiting = 0
    Batch.endTurn()
    expect(machine.polls.length).toBe(1)
  })

  it('leaves in the next round where those turns never come', async () => {
    const { machine, driver } = await asleep()
    Batch.waiting = 1
    driver.wake(true)
    await vi.advanceTimersByTimeAsync(1)
    expect(machine.polls.length).toBeGreaterThanOrEqual(1)
  })
})
