// Virtual time: it stands still until whoever runs the machines moves it. src/sim and src/drill do.

import type { Clock, Micros } from './time.ts'

export class VirtualClock implements Clock {
  private instant: Micros
  private readonly wallAtZero: Micros

  constructor(wallAtZero: Micros) {
    this.wallAtZero = wallAtZero
    // 0 means "at once" in a deadline, so time begins at 1.
    this.instant = 1 as Micros
  }

  now(): Micros {
    return this.instant
  }

  wall(): Micros {
    return (this.wallAtZero + this.instant) as Micros
  }

  advance(to: Micros): void {
    if (to > this.instant) this.instant = to
  }
}
