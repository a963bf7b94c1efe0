// A whole internet in memory, in virtual time, from one seed: hosts, cables, switches, and the loop that jumps
// from one event to the next. The same seed and the same program give the same packets.

import type { PagePool } from '../buf/page.ts'
import { UsageError } from '../errors.ts'
import type { Interface } from '../ip/interface.ts'
import { Cable, type CableOptions } from '../link/cable.ts'
import { type CaptureSink, captured } from '../link/capture.ts'
import type { Device } from '../link/device.ts'
import { type Faults, type FaultyDevice, faulty } from '../link/faults.ts'
import { Switch, type SwitchOptions } from '../link/switch.ts'
import { checkOptionNames } from '../option-names.ts'
import { SeededRandom } from '../random.ts'
import { Stack, type StackInterfaceOptions, type StackOptions } from '../stack.ts'
import { earlier, type Micros, NEVER, seconds } from '../time.ts'
import { DeadlineHeap, type Timed } from '../timers.ts'
import { VirtualClock } from '../virtual-clock.ts'
import { IpPrefix } from '../wire/address.ts'
import { MacAddress } from '../wire/ethernet.ts'

export interface WorldOptions {
  seed: number
  /** Waits until every promise that is settled has been acted on; src/node gives one by setImmediate. */
  settle?: () => Promise<void>
  /** Records what every host sends and receives. */
  capture?: CaptureSink
  /** Microseconds since 1970 at the beginning. Default 2026-01-01T00:00:00Z. */
  startWall?: Micros
  /** Shared by all hosts. Default: each has its own. */
  pool?: PagePool
}

export interface AttachOptions extends Partial<Omit<StackInterfaceOptions, 'device' | 'addresses'>> {
  /** Like `10.0.0.1/24`. */
  addresses?: readonly string[]
  faults?: Faults
}

/** All who sleep until the same instant: they are woken in the order in which they fell asleep. */
interface Sleepers extends Timed {
  readonly wakes: (() => void)[]
}

/** The options' names; the compiler sees that none is missing. */
const ATTACH_OPTIONS: Readonly<Record<keyof AttachOptions, true>> = {
  name: true,
  mac: true,
  mtu: true,
  vlan: true,
  addresses: true,
  faults: true,
  linkLocal: true,
  acceptRouters: true,
  probes: true,
}
const CABLE_OPTIONS: Readonly<Record<keyof CableOptions, true>> = {
  name: true,
  medium: true,
  mtu: true,
  offloads: true,
  delay: true,
  bitsPerSecond: true,
  queueBytes: true,
  queuePackets: true,
  fromA: true,
  fromB: true,
}

/** 2026-01-01T00:00:00Z. */
const START_WALL = 1_767_225_600_000_000 as Micros
/** Events of one run without a limit of time: beyond it, something goes round in circles. */
const MAX_STEPS = 100_000_000
/** Turns of the microtask queue that count as settled where no better way is given. */
const MICROTASK_TURNS = 64

export class World {
  readonly clock: VirtualClock
  readonly random: SeededRandom
  readonly hosts: Stack[] = []
  readonly cables: Cable[] = []
  private readonly settleFully: () => Promise<void>
  private readonly capture: CaptureSink | null
  private readonly pool: PagePool | null
  private readonly faults = new Map<Interface, FaultyDevice>()
  private readonly switches: Switch[] = []
  private readonly sleepers = new DeadlineHeap<Sleepers>()
  private readonly sleepersAt = new Map<Micros, Sleepers>()

  constructor(options: WorldOptions) {
    if (!Number.isSafeInteger(options.seed)) throw new UsageError(`seed is ${options.seed}: give a whole number`)
    this.clock = new VirtualClock(options.startWall ?? START_WALL)
    this.random = new SeededRandom(options.seed)
    this.settleFully = options.settle ?? settleByMicrotasks
    this.capture = options.capture ?? null
    this.pool = options.pool ?? null
  }

  get seed(): number {
    return this.random.seed
  }

  get now(): Micros {
    return this.clock.now()
  }

  /** A host without a link yet. */
  host(name: string, options: Partial<Omit<StackOptions, 'clock' | 'random' | 'name'>> = {}): Stack {
    if (this.hosts.some((other) => other.name === name)) throw new UsageError(`the world has a host '${name}' already`)
    const pool = this.pool === null ? {} : { pool: this.pool }
    const stack = new Stack({ clock: this.clock, random: this.random.fork(name), name, ...pool, ...options })
    this.hosts.push(stack)
    return stack
  }

  /** Plugs a host into a device that has none: one end of a cable, a port of a switch. Throws UsageError. */
  attach(host: Stack, device: Device, options: AttachOptions = {}): Interface {
    checkOptionNames('attach()', options, ATTACH_OPTIONS)
    if (typeof device?.transmit !== 'function')
      throw new UsageError('a host is attached to one end: cable.a, cable.b, or what switch.port() gives')
    if (device.onReceive !== null) throw new UsageError(`${device.name} has a host already: each end is for one`)
    const { addresses, faults, ...rest } = options
    const name = options.name ?? `eth${host.interfaces.all.length - 1}`
    const fork = this.random.fork(`${host.name} ${name}`)
    const faultyDevice = faults === undefined ? null : faulty(device, faults, fork, this.clock)
    let outer: Device = faultyDevice ?? device
    if (this.capture !== null) outer = captured(outer, this.capture, this.clock, `${host.name}-${name}`)
    const added = host.addInterface({
      probes: 0,
      ...rest,
      name,
      device: outer,
      mac: options.mac ?? MacAddress.random(this.random.fork(`mac ${host.name} ${name}`)),
      addresses: (addresses ?? []).map((text) => IpPrefix.of(text)),
    })
    if (faultyDevice !== null) this.faults.set(added, faultyDevice)
    return added
  }

  /** The faults of an interface that was attached with some, to be changed while the world runs. Throws UsageError. */
  faultsOf(on: Interface): FaultyDevice {
    const device = this.faults.get(on)
    if (device === undefined)
      throw new UsageError(`${on.name} was attached without faults: give attach() faults, even {}`)
    return device
  }

  /** Throws UsageError for options that there are not, or that go too far. */
  cable(options: CableOptions = {}): Cable {
    checkOptionNames('cable()', options, CABLE_OPTIONS)
    const cable = new Cable(this.clock, { name: `cable${this.cables.length}`, ...options })
    this.cables.push(cable)
    return cable
  }

  switch(options: SwitchOptions = {}): Switch {
    const made = new Switch(this.clock, options)
    this.switches.push(made)
    return made
  }

  /** The earliest instant at which something happens; NEVER: nothing will. */
  deadline(): Micros {
    let least = this.sleepers.next()
    for (const host of this.hosts) least = earlier(least, host.deadline())
    return least
  }

  /** Moves time to the next event, but not beyond `until`, and lets it happen. False: there is none. */
  step(until: Micros = NEVER): boolean {
    const next = this.deadline()
    if (next > until || next === NEVER) return false
    this.clock.advance(next)
    const now = this.clock.now()
    for (let due = this.sleepers.takeDue(now); due !== null; due = this.sleepers.takeDue(now)) {
      this.sleepersAt.delete(due.deadlineAt)
      for (const wake of due.wakes) wake()
    }
    for (const host of this.hosts) if (host.deadline() <= now) host.poll(now)
    return true
  }

  /** Runs until the instant, without waiting for promises: for programs of callbacks alone. */
  runUntil(instant: Micros): void {
    if (Number.isNaN(instant)) throw new UsageError('the world cannot run until an instant that is no number')
    for (let count = 0; this.step(instant); count++) {
      if (count > MAX_STEPS) throw new UsageError(`no end after ${MAX_STEPS} events (seed ${this.seed})`)
    }
    if (instant !== NEVER) this.clock.advance(instant)
  }

  runFor(length: Micros): void {
    this.runUntil((this.now + length) as Micros)
  }

  /** Runs the world until the promise settles, and returns what it gives. Rejects when nothing more will happen, or after `limit`. */
  async run<T>(promise: Promise<T>, limit: Micros = seconds(3_600)): Promise<T> {
    const until = (this.now + limit) as Micros
    let done = false
    const finish = (): void => {
      done = true
    }
    promise.then(finish, finish)
    await this.settleFully()
    while (!done) {
      if (!this.step(until)) {
        throw new UsageError(
          this.deadline() === NEVER
            ? `the world came to rest at ${this.now} µs and the promise is still pending (seed ${this.seed}): what it waits for is not in the world, such as a setTimeout or a file; world.sleep() waits virtual time`
            : `the promise is still pending after ${limit} µs of virtual time (seed ${this.seed})`,
        )
      }
      await this.settleFully()
    }
    return promise
  }

  /** Resolves after some virtual time; something must run the world meanwhile. Throws UsageError for what is no number. */
  sleep(length: Micros): Promise<void> {
    if (Number.isNaN(length)) throw new UsageError('the world cannot sleep for a time that is no number')
    const deadlineAt = (this.now + length) as Micros
    let sleepers = this.sleepersAt.get(deadlineAt)
    if (sleepers === undefined) {
      sleepers = { deadlineAt, scheduledAt: NEVER, wakes: [] }
      this.sleepersAt.set(deadlineAt, sleepers)
      this.sleepers.schedule(sleepers)
    }
    const { wakes } = sleepers
    return new Promise((wake) => {
      wakes.push(wake)
    })
  }

  /** Closes all hosts, cables and switches: every page goes back. */
  close(): void {
    for (const host of this.hosts) host.close()
    for (const cable of this.cables) cable.close()
    for (const one of this.switches) one.close()
  }
}

async function settleByMicrotasks(): Promise<void> {
  for (let turn = 0; turn < MICROTASK_TURNS; turn++) await null
}
