// Follows a script, event by event, in virtual time: a stack with one link, whose other end is the script.

import { PagePool } from '../buf/page.ts'
import { NetError, UsageError } from '../errors.ts'
import { SeededRandom } from '../random.ts'
import { Stack } from '../stack.ts'
import { NewReno } from '../tcp/newreno.ts'
import { earlier, type Micros, micros, NEVER, seconds } from '../time.ts'
import { VirtualClock } from '../virtual-clock.ts'
import { IpAddress, IpPrefix } from '../wire/address.ts'
import type { Value } from './code.ts'
import type { Addresses } from './flow.ts'
import type { Level } from './levels.ts'
import { toleranceOf } from './levels.ts'
import { Lexer } from './lexer.ts'
import { notationOf } from './notation.ts'
import { PacketEvents } from './packet-events.ts'
import { parseScript } from './parser.ts'
import { configure, Profile } from './profile.ts'
import { type Call, type Event, NotRunError, type Script, type Shell, type When } from './script.ts'
import { ScriptDevice } from './script-device.ts'
import type { ScriptHost } from './script-host.ts'
import { type Attempt, type Outcome, Sockets, timeoutOf } from './sockets.ts'
import { evaluate, runShell } from './state-checks.ts'
import { ERRNO, numberOf } from './values.ts'

export interface DrillOptions {
  readonly level: Level
  readonly symbols?: ReadonlyMap<string, string>
  /** All that the stack sends must be in the script, to the end, and descriptors have the numbers it says. */
  readonly exhaustive?: boolean
  readonly pool?: PagePool
}

export type Verdict =
  | { readonly kind: 'passed'; readonly file: string }
  | { readonly kind: 'not-run'; readonly file: string; readonly reason: string }
  | { readonly kind: 'wrong'; readonly file: string; readonly message: string }
  | ({ readonly kind: 'failed'; readonly file: string } & Failure)

export interface Failure {
  readonly line: number
  readonly message: string
  /** In the script's notation; null: it was not about a packet. */
  readonly expected: string | null
  readonly seen: string | null
}

/** The stack did not do what the script says. */
class DrillError extends Error {
  override readonly name = 'DrillError'
  readonly failure: Failure

  constructor(failure: Failure) {
    super(failure.message)
    this.failure = failure
  }
}

const fail = (line: number, message: string, expected: string | null = null, seen: string | null = null): never => {
  throw new DrillError({ line, message, expected, seen })
}

interface PendingCall {
  readonly call: Call
  readonly attempt: Attempt
  readonly endAt: Micros
  readonly tolerance: Micros
  readonly until: number
}

/** Steps of one wait: beyond it, something goes round in circles. */
const MAX_STEPS = 200_000
const SEED = 1

/** Runs one script. Never throws for what the script or the stack does. */
export function runScript(file: string, text: string, options: DrillOptions): Verdict {
  let runner: Runner | null = null
  try {
    runner = new Runner(parseScript(new Lexer(file, text, options.symbols ?? new Map())), options)
    runner.run()
    return { kind: 'passed', file }
  } catch (error) {
    if (error instanceof NotRunError) return { kind: 'not-run', file, reason: error.message }
    if (error instanceof UsageError) return { kind: 'wrong', file, message: error.message }
    // Of addresses that a host cannot have.
    if (error instanceof NetError) return { kind: 'wrong', file, message: `${file}:1: ${error.message}` }
    if (error instanceof DrillError) return { kind: 'failed', file, ...error.failure }
    throw error
  } finally {
    runner?.close()
  }
}

class Runner implements ScriptHost {
  readonly script: Script
  readonly options: DrillOptions
  readonly clock = new VirtualClock(0 as Micros)
  readonly device: ScriptDevice
  readonly stack: Stack
  readonly sockets: Sockets
  readonly anyTime = seconds(3_600)
  private readonly origin: Micros
  private readonly packets: PacketEvents
  private readonly variables = new Map<string, Value>()
  private pending: PendingCall[] = []
  /** The script's time of the event before. */
  private previousAt: Micros = 0 as Micros
  /** Of the event that is being performed. */
  private line = 0

  constructor(script: Script, options: DrillOptions) {
    this.script = script
    this.options = options
    const profile = new Profile()
    for (const shell of leadingCommands(script, options.level)) configure(profile, script.file, shell)
    const mtu = Number(script.options.get('mtu') ?? 1_500)
    this.device = new ScriptDevice(this.clock, mtu, Number(script.options.get('mss') ?? 0))
    const pool = options.pool ?? new PagePool()
    this.stack = new Stack({
      clock: this.clock,
      random: new SeededRandom(SEED),
      pool,
      tcp: {
        config: profile.config,
        ...(profile.congestionControl === 'reno' ? { congestionControl: () => new NewReno() } : {}),
      },
    })
    const addresses = addressesOf(script.options)
    const prefix = new IpPrefix(addresses.local, addresses.family === 4 ? 16 : 64)
    const on = this.stack.addInterface({ name: 'script', device: this.device, addresses: [prefix], probes: 0 })
    const everything = new IpPrefix(IpAddress.from(addresses.family === 4 ? '0.0.0.0' : '::'), 0)
    this.stack.routes.add({ prefix: everything, interfaceIndex: on.index })
    this.sockets = new Sockets(this.stack, addresses, profile.options)
    this.origin = this.clock.now()
    this.packets = new PacketEvents(this)
  }

  run(): void {
    // Whatever the host has to say on its own, as it comes up, is no part of the script.
    this.settle()
    this.device.sent.length = 0
    for (const event of this.script.events) this.perform(event)
    const { pending } = this
    if (pending.length > 0)
      fail(pending[0]!.call.line, `${pending[0]!.call.name}() still blocks at the end of the script`)
    if (this.options.exhaustive === true) this.expectNothingMore()
  }

  close(): void {
    this.stack.tcp.closeAll()
    this.stack.close()
  }

  /** Time of the script, in microseconds. */
  get now(): Micros {
    return micros(this.clock.now() - this.origin)
  }

  /** An instant of the clock as time of the script. */
  timeOf(instant: Micros): Micros {
    return micros(instant - this.origin)
  }

  instantOf(time: Micros): Micros {
    return micros(time + this.origin)
  }

  timeText(time: Micros): string {
    return seconds6(time)
  }

  fail(line: number, message: string, expected: string | null, seen: string | null): never {
    return fail(line, message, expected, seen)
  }

  tolerance(expected: Micros): Micros {
    return toleranceOf(this.options.level, this.script.options, Math.max(0, expected - this.previousAt))
  }

  private perform(event: Event): void {
    const { action, line, when } = event
    this.line = line
    const base = when.kind === 'relative' ? this.now : (0 as Micros)
    const expected = micros(base + when.from)
    if (action.kind === 'packet' && !action.packet.inbound) {
      const to = micros(base + when.to)
      this.packets.expect(action.packet, when.kind === 'any' ? null : { from: expected, to })
      this.previousAt = when.kind === 'any' ? this.now : expected
      return
    }
    const late = this.now - expected
    if (late > this.tolerance(expected))
      fail(line, `its time is ${seconds6(expected)}, but it is ${seconds6(this.now)} already`)
    this.runTo(micros(expected + this.origin))
    if (action.kind === 'packet') this.packets.inject(action.packet)
    else if (action.kind === 'call') this.startCall(action.call, when, expected)
    else if (action.kind === 'code') evaluate(this, line, action.code, this.variables)
    else runShell(this, line, action.command)
    this.settle()
    this.previousAt = expected
  }

  private startCall(call: Call, when: When, startAt: Micros): void {
    const attempt = this.sockets.begin(call)
    const outcome = attempt()
    // A call that returns at once lets the stack act after it.
    if (call.end === null) {
      if (outcome === null) fail(call.line, `${call.name}() blocks: give it an end, like +0...1`)
      else this.checkOutcome(call, outcome)
      return
    }
    const base = when.kind === 'relative' ? startAt - when.from : 0
    const endAt = micros(base + call.end.from)
    const tolerance = toleranceOf(this.options.level, this.script.options, endAt - startAt)
    if (outcome !== null) this.finish({ call, attempt, endAt, tolerance, until: NEVER }, outcome)
    else this.pending.push({ call, attempt, endAt, tolerance, until: timeoutOf(call, this.clock.now()) })
  }

  private finish(pending: PendingCall, outcome: Outcome): void {
    const { call, endAt, tolerance } = pending
    if (Math.abs(this.now - endAt) > tolerance) {
      fail(call.line, `${call.name}() returned at ${seconds6(this.now)}, ${seconds6(endAt)} was expected`)
    }
    this.checkOutcome(call, outcome)
  }

  private checkOutcome(call: Call, { value, wrong }: Outcome): void {
    const { errno, line, name } = call
    const expected = numberOf(call.result, value)
    const seenErrno =
      value < 0 ? (Object.entries(ERRNO).find(([, number]) => number === -value)?.[0] ?? String(-value)) : ''
    const seen = value < 0 ? `-1 ${seenErrno}` : String(value)
    const isNew = name === 'socket' || name === 'accept'
    if (wrong !== null) fail(line, wrong)
    if (expected < 0) {
      const known = errno === null || ERRNO[errno] === -value
      if (value >= 0 || !known || expected !== -1)
        fail(line, `${name}() = ${seen}, ${expected} ${errno ?? ''} was expected`)
    } else if (value !== expected) fail(line, `${name}() = ${seen}, ${expected} was expected`)
    else if (errno !== null) fail(line, `${name}() = ${seen} without ${errno}`)
    if (isNew && value >= 0 && this.options.exhaustive === true && this.sockets.latestNumber !== value) {
      fail(line, `${name}() = ${this.sockets.latestNumber}, ${value} was expected`)
    }
  }

  /** Lets the stack do all that is due now. */
  settle(): void {
    for (let step = 0; this.stack.deadline() <= this.clock.now(); step++) {
      if (step > MAX_STEPS) fail(this.line, `the stack never comes to rest at ${seconds6(this.now)}`)
      this.stack.poll(this.clock.now())
    }
    this.packets.follow()
    this.retryCalls()
  }

  /** Moves time to the next thing that happens, but not beyond `limit`. False: nothing does. */
  step(limit: Micros): boolean {
    let next = earlier(this.stack.deadline(), limit)
    for (const { until } of this.pending) next = Math.min(next, until) as Micros
    if (next >= limit) return false
    this.clock.advance(next)
    this.settle()
    return true
  }

  runTo(instant: Micros): void {
    for (let steps = 0; this.step(instant); steps++) {
      if (steps > MAX_STEPS)
        fail(this.line, `more than ${MAX_STEPS} things happen before ${seconds6(this.timeOf(instant))}`)
    }
    this.clock.advance(instant)
    this.settle()
  }

  private retryCalls(): void {
    let progressed = true
    while (progressed && this.pending.length > 0) {
      progressed = false
      for (const pending of this.pending) {
        const outcome = pending.attempt()
        if (outcome === null) continue
        this.pending = this.pending.filter((other) => other !== pending)
        this.finish(pending, outcome)
        progressed = true
      }
      const now = this.clock.now()
      while (progressed && this.stack.deadline() <= now) this.stack.poll(now)
    }
  }

  private expectNothingMore(): void {
    const line = this.script.events[this.script.events.length - 1]!.line
    for (const { live, flow } of this.packets.leftOver()) {
      fail(
        line,
        'the stack sent what the script does not expect',
        null,
        `${seconds6(this.timeOf(live.at))} ${notationOf(live, flow)}`,
      )
    }
  }
}

/** Commands that come before the first socket: they configure the stack. */
function leadingCommands(script: Script, level: Level): Shell[] {
  const shells = script.before === null ? [] : [script.before]
  for (const { action, line } of script.events) {
    if (action.kind === 'shell') shells.push({ command: action.command, line })
    else break
  }
  // Another system's settings are no reason not to run.
  if (level === 'portable')
    return shells.filter(({ command }) => command.includes('defaults.sh') || /net\.ipv4/.test(command))
  const init = script.options.get('init_scripts')
  return init === undefined ? shells : [{ command: init, line: 1 }, ...shells]
}

function addressesOf(options: ReadonlyMap<string, string>): Addresses {
  const version = options.get('ip_version') ?? 'ipv4'
  if (version !== 'ipv4' && version !== 'ipv6') throw new NotRunError(`--ip_version=${version}`)
  const isV4 = version === 'ipv4'
  return {
    family: isV4 ? 4 : 6,
    local: IpAddress.from(options.get('local_ip') ?? (isV4 ? '192.168.0.1' : 'fd3d:fa7b:d17d::1')),
    remote: IpAddress.from((options.get('remote_ip') ?? (isV4 ? '192.0.2.1' : '2001:db8::1')).split('/')[0]!),
    bindPort: Number(options.get('bind_port') ?? 8080),
    connectPort: Number(options.get('connect_port') ?? 8080),
  }
}

const seconds6 = (time: number): string => (time / 1_000_000).toFixed(6)
