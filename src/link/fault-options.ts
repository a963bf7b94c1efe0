// The knobs of faults.ts, flat, with their defaults: none of them does anything until it is turned.

import type { Packet } from '../buf/packet.ts'
import { UsageError } from '../errors.ts'
import { type Micros, micros, millis } from '../time.ts'

/** What goes wrong in one direction. Probabilities are per packet, from 0 to 1. */
export interface FaultOptions {
  /** Nothing gets through. */
  readonly partitioned: boolean
  /** Scripted drops: true loses the packet; `index` counts the packets of this direction from 0. */
  readonly drop: ((packet: Packet, index: number) => boolean) | null
  /** Uniform loss. */
  readonly loss: number
  /** Bursts of loss (Gilbert, Elliott): the chance to fall from the good state into the bad one before a packet. */
  readonly pGoodToBad: number
  /** The chance to get out of the bad state again; 1 / it is the mean length of a burst in packets. */
  readonly pBadToGood: number
  /** The chance of loss in the good state. */
  readonly lossGood: number
  /** The chance of loss in the bad state. */
  readonly lossBad: number
  /** A second copy follows at once. */
  readonly duplicate: number
  /** The packet is held back while later ones pass. */
  readonly reorder: number
  /** How long a reordered packet is held, and at most where it waits for others. */
  readonly reorderDelay: Micros
  /** How many later packets pass before it; 0: whatever comes within reorderDelay. */
  readonly reorderPackets: number
  /** Bits of a copy are flipped, anywhere in the frame. */
  readonly corrupt: number
  /** How many bits. */
  readonly corruptBits: number
  /** Added to every packet's way. */
  readonly delay: Micros
  /** Added to that at random: from 0 to this (uniform), or around 0 with this as standard deviation, never below 0 in all (normal). */
  readonly jitter: Micros
  readonly jitterShape: 'uniform' | 'normal'
  /** Jitter may change the order. */
  readonly jitterReorders: boolean
  /** A token bucket; Infinity: none. */
  readonly bitsPerSecond: number
  /** What the bucket holds: at least the largest packet, or that one never passes. */
  readonly bucketBytes: number
  /** What finds no tokens waits for them, instead of being dropped. */
  readonly bucketQueues: boolean
  /** Packets held back at most, for whatever reason; more are dropped. */
  readonly heldPackets: number
}

export const NO_FAULTS: FaultOptions = {
  partitioned: false,
  drop: null,
  loss: 0,
  pGoodToBad: 0,
  pBadToGood: 0.25,
  lossGood: 0,
  lossBad: 1,
  duplicate: 0,
  reorder: 0,
  reorderDelay: millis(10),
  reorderPackets: 0,
  corrupt: 0,
  corruptBits: 1,
  delay: micros(0),
  jitter: micros(0),
  jitterShape: 'uniform',
  jitterReorders: false,
  bitsPerSecond: Number.POSITIVE_INFINITY,
  bucketBytes: 65_536 + 18,
  bucketQueues: false,
  heldPackets: 4_096,
}

const PROBABILITIES = [
  'loss',
  'pGoodToBad',
  'pBadToGood',
  'lossGood',
  'lossBad',
  'duplicate',
  'reorder',
  'corrupt',
] as const
const WHOLE = ['reorderDelay', 'reorderPackets', 'delay', 'jitter', 'heldPackets'] as const
const POSITIVE = ['corruptBits', 'bucketBytes'] as const

/** The defaults with the given knobs turned. Throws UsageError. */
export function checkedFaults(given: Partial<FaultOptions>): FaultOptions {
  for (const name of Object.keys(given)) {
    if (!(name in NO_FAULTS)) throw new UsageError(`there is no fault '${name}'`)
  }
  const options = { ...NO_FAULTS, ...given }
  for (const name of PROBABILITIES) {
    const value = options[name]
    if (!(value >= 0 && value <= 1)) throw new UsageError(`${name} is ${value}: give a probability from 0 to 1`)
  }
  for (const name of WHOLE) requireWhole(name, options[name], 0)
  for (const name of POSITIVE) requireWhole(name, options[name], 1)
  if (options.bitsPerSecond !== Number.POSITIVE_INFINITY) requireWhole('bitsPerSecond', options.bitsPerSecond, 1)
  if (options.jitterShape !== 'uniform' && options.jitterShape !== 'normal') {
    throw new UsageError(`jitterShape is ${String(options.jitterShape)}: give uniform or normal`)
  }
  return options
}

function requireWhole(name: string, value: number, least: number): void {
  if (!(Number.isSafeInteger(value) && value >= least)) {
    throw new UsageError(`${name} is ${value}: give a whole number from ${least} on`)
  }
}
