// Makes a machine run in real time: the one place that knows of the event loop. NAPI, as in Linux:
//
//   asleep --readable, timer, wake--> turn: advance the clock, drain each device within the budget, poll the machine
//   turn --there was work--> setImmediate --> turn        (so timers and other I/O get theirs between two batches)
//   turn --nothing--> turn again until spinMicros have passed since there was something, then arm all and sleep;
//                     at once where there is no device
//   wake, the application did something --> flush: poll the machine when the turn of the application is over, or when
//                     those of other sockets are, which wait already, but not for longer than HOLD_MICROS
//
// Nothing here holds the process open but one handle, which ref() and unref() switch. One real timer stands for all
// deadlines of the machine.

import type { EdgeDevice } from '../link/edge-device.ts'
import { type Machine, type Micros, NEVER } from '../time.ts'
import { Batch, type OutputHolder } from './batch.ts'
import type { AdvancingClock } from './clock.ts'

export interface DriverOptions {
  readonly machine: Machine
  readonly clock: AdvancingClock
  readonly devices?: readonly EdgeDevice[]
  /** Frames taken from each device before the machine is polled. Default 64. */
  readonly budget?: number
  /** How long to go on looking after the last work before sleeping. Default 50; 0: sleep at once. */
  readonly spinMicros?: number
  /** A device is gone for good; it has been taken out and closed. Default: emit a process warning. */
  readonly onFailure?: (device: EdgeDevice, error: Error) => void
}

const DEFAULT_BUDGET = 64
const DEFAULT_SPIN_MICROS = 50
const MICROS_PER_MILLI = 1_000
/** Of that time, how long one turn looks before other work gets its turn: a round of the event loop costs ten empty reads. */
const LOOK_MICROS = 10
/** How long output waits for that of other sockets, whose turns are to come: long enough for some ten requests of HTTP. */
const HOLD_MICROS = 250
/** The longest wait that setTimeout takes. */
const LONGEST_MILLIS = 0x7fff_ffff

/** What the driver did so far. */
export interface DriverInfo {
  readonly turns: number
  readonly frames: number
  /** Turns that found a full budget: there was more. */
  readonly fullBatches: number
  /** Turns that found nothing, while looking on. */
  readonly spins: number
  readonly sleeps: number
  readonly timers: number
  readonly wakes: number
  readonly failures: number
}

export class Driver implements OutputHolder {
  private readonly machine: Machine
  private readonly clock: AdvancingClock
  private readonly devices: EdgeDevice[] = []
  private readonly budget: number
  private readonly spinMicros: number
  private readonly onFailure: (device: EdgeDevice, error: Error) => void
  private readonly holder: NodeJS.Timeout
  private immediate: NodeJS.Immediate | null = null
  private timer: NodeJS.Timeout | null = null
  private timerAt: Micros = NEVER
  private lastWorkAt = 0
  private polledAt = 0
  private flushing = false
  private holding = false
  private closed = false
  private readonly counts = {
    turns: 0,
    frames: 0,
    fullBatches: 0,
    spins: 0,
    sleeps: 0,
    timers: 0,
    wakes: 0,
    failures: 0,
  }
  private readonly onTurn = (): void => {
    this.immediate = null
    this.turn()
  }
  private readonly onFlush = (): void => this.flush()
  private readonly onTimer = (): void => {
    this.timer = null
    this.timerAt = NEVER
    this.counts.timers++
    this.begin()
  }

  constructor(options: DriverOptions) {
    this.machine = options.machine
    this.clock = options.clock
    this.budget = options.budget ?? DEFAULT_BUDGET
    this.spinMicros = options.spinMicros ?? DEFAULT_SPIN_MICROS
    this.onFailure =
      options.onFailure ??
      ((device, error) => process.emitWarning(`${device.name}: ${error.message}`, 'HourglassWarning'))
    this.holder = setInterval(() => {}, LONGEST_MILLIS)
    for (const device of options.devices ?? []) this.add(device)
    this.wake()
  }

  /** Takes frames from `device` from now on. Its onReceive is set by the stack, before or after. */
  add(device: EdgeDevice): void {
    this.devices.push(device)
    device.onReadable = () => this.begin()
    device.onFailure = (error) => {
      if (!this.devices.includes(device)) return
      this.counts.failures++
      this.remove(device)
      device.close()
      this.onFailure(device, error)
    }
    this.schedule()
  }

  /** Takes no more frames from `device`, which stays the caller's to close. */
  remove(device: EdgeDevice): void {
    const index = this.devices.indexOf(device)
    if (index < 0) return
    this.devices.splice(index, 1)
    device.onReadable = null
    device.onFailure = null
  }

  /**
   * The application did something: the machine may owe output or have a new deadline. Called as often as one likes; it
   * costs one poll per turn of the loop, at most. `mayWait`: it is output that may leave with that of other sockets.
   */
  wake(mayWait = false): void {
    if (this.flushing || this.closed) return
    if (mayWait && Batch.waiting > 0) {
      this.hold()
      return
    }
    this.flushing = true
    this.counts.wakes++
    queueMicrotask(this.onFlush)
  }

  turnEnded(isLast: boolean): boolean {
    if (!this.holding) return true
    if (!isLast && this.clock.advance() - this.polledAt < HOLD_MICROS) return false
    this.flush()
    return true
  }

  /** Keep the process alive, as at the beginning. */
  ref(): void {
    this.holder.ref()
  }

  /** Let the process end although the driver runs. */
  unref(): void {
    this.holder.unref()
  }

  /** Polls the machine a last time, so that what it owes leaves, and lets go of the devices, which stay the caller's to close. */
  close(): void {
    if (this.closed) return
    this.machine.poll(this.clock.advance())
    this.closed = true
    for (const device of [...this.devices]) this.remove(device)
    if (this.immediate !== null) clearImmediate(this.immediate)
    if (this.timer !== null) clearTimeout(this.timer)
    clearInterval(this.holder)
    this.immediate = null
    this.timer = null
  }

  info(): DriverInfo {
    return { ...this.counts }
  }

  /** Something happened while asleep, or while the next turn is already due. */
  private begin(): void {
    if (this.closed || this.immediate !== null) return
    this.turn()
  }

  private turn(): void {
    if (this.closed) return
    Batch.running = true
    try {
      this.goOn(this.batch())
    } finally {
      Batch.running = false
    }
  }

  /** Returns when it was. */
  private batch(): Micros {
    let now = this.clock.advance()
    this.counts.turns++
    let frames = this.drain()
    if (frames === 0 && this.looksOn(now) && this.machine.deadline() > now) {
      // The clock advances before each look, as before each batch.
      for (const until = now + LOOK_MICROS; frames === 0 && now < until && !this.closed; frames = this.drain())
        now = this.clock.advance()
    }
    this.counts.frames += frames
    this.poll(now)
    if (frames > 0 || this.machine.deadline() <= now) this.lastWorkAt = now
    else this.counts.spins++
    return now
  }

  /** Hands over what waits at the devices, within the budget of each, and returns how many frames there were. */
  private drain(): number {
    let frames = 0
    for (let index = 0; index < this.devices.length; index++) {
      const count = this.devices[index]!.drain(this.budget)
      if (count >= this.budget) this.counts.fullBatches++
      frames += count
    }
    return frames
  }

  /** What the application caused leaves at once; the turn that follows looks for the answer. */
  private flush(): void {
    this.flushing = false
    if (this.closed) return
    const now = this.clock.advance()
    this.poll(now)
    this.lastWorkAt = now
    if (this.devices.length > 0) this.schedule()
    else this.goOn(now)
  }

  private hold(): void {
    if (this.holding) return
    this.holding = true
    this.counts.wakes++
    Batch.hold(this)
    // Should those turns never come, this one does.
    this.schedule()
  }

  private poll(now: Micros): void {
    this.polledAt = now
    this.holding = false
    this.machine.poll(now)
  }

  /** Whether what happened lately makes more from the devices likely. */
  private looksOn(now: Micros): boolean {
    return this.devices.length > 0 && now - this.lastWorkAt < this.spinMicros
  }

  private goOn(now: Micros): void {
    if (this.closed) return
    const worked = this.devices.length > 0 && now === this.lastWorkAt
    if (worked || this.looksOn(now) || this.machine.deadline() - now <= this.spinMicros) {
      this.schedule()
      return
    }
    this.counts.sleeps++
    this.setTimer(now)
    for (let index = 0; index < this.devices.length; index++) this.devices[index]!.arm()
  }

  private schedule(): void {
    if (this.immediate === null && !this.closed) this.immediate = setImmediate(this.onTurn)
  }

  /** A timer that is early costs one turn and is set anew: it is moved only when it would be late. */
  private setTimer(now: Micros): void {
    const deadline = this.machine.deadline()
    if (deadline >= this.timerAt) return
    if (this.timer !== null) clearTimeout(this.timer)
    const millis = Math.min(LONGEST_MILLIS, Math.max(1, Math.ceil((deadline - now) / MICROS_PER_MILLI)))
    this.timerAt = deadline
    this.timer = setTimeout(this.onTimer, millis)
    this.timer.unref()
  }
}
