// Initial sequence numbers. The default is RFC 6528's: a clock that ticks every four microseconds, plus a keyed hash
// of the connection, so that an incarnation follows its predecessor in sequence space and a stranger cannot
// guess. Two further generators show what else is possible.

import { KeyedHash } from '../keyed-hash.ts'
import type { Random } from '../random.ts'
import type { Micros } from '../time.ts'
import type { IpAddress } from '../wire/address.ts'
import { type Seq, seq } from '../wire/sequence.ts'

export interface InitialSequenceNumbers {
  next(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number, now: Micros): Seq
}

/** RFC 9293 §3.4.1: M is a timer of 4 microseconds. */
const MICROS_PER_TICK = 4
/** BSD's old step for each connection, and what is drawn beyond it. */
const LEAST_INCREMENT = 64_000
const RANDOM_INCREMENT = 2 ** 20
/** Sequence numbers of one epoch. */
const EPOCH_SPAN = 0x2000_0000

/** RFC 6528 §3: ISN = M + F(localip, localport, remoteip, remoteport, secretkey). */
export class HashedIsn implements InitialSequenceNumbers {
  private readonly hash: KeyedHash

  constructor(random: Random) {
    this.hash = new KeyedHash(random)
  }

  next(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number, now: Micros): Seq {
    return seq(Math.floor(now / MICROS_PER_TICK) + hashConnection(this.hash, local, localPort, remote, remotePort))
  }
}

/**
 * For hosts whose clock may begin anew at each boot: an epoch that outlives the host, raised at each boot, moves the
 * whole sequence space, so that no incarnation of a connection meets segments of one before the crash.
 */
export class EpochIsn implements InitialSequenceNumbers {
  private readonly hash: KeyedHash
  private readonly epoch: number

  /** `epoch` is kept on disk by the caller, and is one more at each boot. */
  constructor(random: Random, epoch: number) {
    this.hash = new KeyedHash(random)
    this.epoch = epoch
  }

  next(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number, now: Micros): Seq {
    // An eighth of the sequence space a boot, in which the clock goes round in 36 minutes: however long the last boot ran,
    // and although its secret was another, this one begins ahead of it.
    const ticks = Math.floor(now / MICROS_PER_TICK) + hashConnection(this.hash, local, localPort, remote, remotePort)
    return seq(Math.imul(this.epoch, EPOCH_SPAN) + (ticks & (EPOCH_SPAN - 1)))
  }
}

/** A counter that grows by a random amount with each connection (RFC 6528 §2 weighs it): no clock, no hash. */
export class RandomIncrementIsn implements InitialSequenceNumbers {
  private readonly random: Random
  private counter: number

  constructor(random: Random) {
    this.random = random
    this.counter = random.u32()
  }

  next(): Seq {
    this.counter = (this.counter + LEAST_INCREMENT + this.random.below(RANDOM_INCREMENT)) | 0
    return seq(this.counter)
  }
}

/** A keyed hash of the four-tuple as an int32. */
export function hashConnection(
  hash: KeyedHash,
  local: IpAddress,
  localPort: number,
  remote: IpAddress,
  remotePort: number,
): number {
  hash.begin()
  hash.word(local.w0).word(local.w1).word(local.w2).word(local.w3)
  hash.word(remote.w0).word(remote.w1).word(remote.w2).word(remote.w3)
  return hash.word((localPort << 16) | remotePort).finish()
}
