// A device whose frames come from outside the process. It reads only when asked, within a budget, so that
// the driver (src/node/driver.ts) decides how input, timers and the rest of the program share the thread.

import type { Device } from './device.ts'

export interface EdgeDevice extends Device {
  /** Hands at most `budget` waiting frames to onReceive, without blocking, and returns how many. */
  drain(budget: number): number
  /**
   * Asks to be told once, through onReadable, when drain() would find something: at once where it would already.
   * A second call before that does nothing.
   */
  arm(): void
  /** Set once by the driver. Called from the event loop, never from inside another call. */
  onReadable: (() => void) | null
  /** Set once by the driver: the device is gone or broken for good, and why. Called once at most. */
  onFailure: ((error: Error) => void) | null
}
