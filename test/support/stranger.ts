// A stranger on the wire of a test world: he sends bytes of the test's choice, writes down what he hears, and does
// nothing of his own accord. The worlds of these tests name their seed in what fails.

import { Packet } from '../../src/buf/packet.ts'
import type { PagePool } from '../../src/buf/page.ts'
import type { Interface } from '../../src/ip/interface.ts'
import type { Device } from '../../src/link/device.ts'
import { type AttachOptions, World, type WorldOptions } from '../../src/sim/world.ts'
import type { Stack } from '../../src/stack.ts'
import { type Micros, seconds } from '../../src/time.ts'
import { describeFrame } from '../../src/wire/describe.ts'
import { FailedCapture } from './failed-capture.ts'
import { testPool } from './pool.ts'

export interface TestWorld {
  readonly world: World
  readonly pool: PagePool
}

/** Runs the body in a world and closes it; what fails names the seed. */
export function inWorld(seed: number, body: (made: TestWorld) => void, options: Omit<WorldOptions, 'seed'> = {}): void {
  const pool = options.pool ?? testPool()
  const failed = new FailedCapture()
  const world = new World({ capture: failed.sink, ...options, seed, pool })
  try {
    body({ world, pool })
  } catch (error) {
    if (error instanceof Error) error.message = `seed ${seed}, at ${world.now} µs: ${error.message}${failed.keep()}`
    throw error
  } finally {
    world.close()
  }
}

/** One frame that the stranger heard. */
export interface Heard {
  readonly at: Micros
  readonly text: string
  readonly bytes: Uint8Array
}

export class Stranger {
  readonly heard: Heard[] = []
  private readonly world: World
  private readonly pool: PagePool
  private readonly device: Device

  constructor(world: World, pool: PagePool, device: Device) {
    this.world = world
    this.pool = pool
    this.device = device
    device.onReceive = (packet) => {
      const bytes = packet.toBytes()
      packet.release()
      const text = describeFrame(new DataView(bytes.buffer), 0, bytes.length, device.medium)
      this.heard.push({ at: world.now, text, bytes })
    }
  }

  send(bytes: Uint8Array): void {
    this.device.transmit(Packet.from(this.pool, bytes)!)
  }

  /** Sends, and lets the others act on it: at the same instant where the link has no delay. */
  tell(bytes: Uint8Array): void {
    this.send(bytes)
    this.settle()
  }

  /** Lets happen what is due at this instant. */
  settle(): void {
    this.run(0 as Micros)
  }

  /** Runs the world, listening all the time. */
  run(length: Micros): void {
    const { world, device } = this
    const until = (world.now + length) as Micros
    for (;;) {
      device.poll(world.now)
      const own = device.deadline()
      const theirs = world.deadline()
      if (Math.min(own, theirs) > until) break
      if (own < theirs) world.clock.advance(own)
      else world.step(until)
    }
    world.clock.advance(until)
  }

  runSeconds(count: number): void {
    this.run(seconds(count))
  }

  /** What was heard since the last call, as text; only what matches. */
  take(pattern = /./): string[] {
    return this.takeHeard(pattern).map(({ text }) => text)
  }

  /** The same, with bytes and instants. */
  takeHeard(pattern = /./): Heard[] {
    return this.heard.splice(0).filter(({ text }) => pattern.test(text))
  }
}

export interface Facing extends TestWorld {
  readonly host: Stack
  readonly on: Interface
  readonly stranger: Stranger
}

/** A host on a cable without delay, and a stranger at its other end. */
export function facing(
  made: TestWorld,
  options: AttachOptions & { forwarding?: boolean; hopLimit?: number } = {},
): Facing {
  const { forwarding = false, hopLimit = 64, ...attach } = options
  const { world, pool } = made
  const host = world.host('host', { forwarding, hopLimit })
  const cable = world.cable()
  const stranger = new Stranger(world, pool, cable.b)
  const on = world.attach(host, cable.a, attach)
  return { ...made, host, on, stranger }
}
