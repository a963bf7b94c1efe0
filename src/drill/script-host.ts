// What the parts that carry out events need of the runner.

import type { Stack } from '../stack.ts'
import type { Clock, Micros } from '../time.ts'
import type { Level } from './levels.ts'
import type { Script } from './script.ts'
import type { ScriptDevice } from './script-device.ts'
import type { Sockets } from './sockets.ts'

export interface ScriptHost {
  readonly script: Script
  readonly options: { readonly level: Level }
  readonly clock: Clock
  readonly device: ScriptDevice
  readonly stack: Stack
  readonly sockets: Sockets
  /** Time of the script. */
  readonly now: Micros
  /** How long to wait where a script sets no time. */
  readonly anyTime: Micros
  timeOf(instant: Micros): Micros
  instantOf(time: Micros): Micros
  timeText(time: Micros): string
  tolerance(expected: Micros): Micros
  /** Moves time to the next thing that happens, but not beyond `limit`. False: nothing does. */
  step(limit: Micros): boolean
  fail(line: number, message: string, expected: string | null, seen: string | null): never
}
