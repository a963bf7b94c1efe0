// One direction of a link: a queue, a transmitter of a certain rate, and a stretch of wire. cable.ts is made
// of two. The instant of each arrival is fixed when the packet goes in, so nothing needs a timer in between.
//
//   send() -> [waiting, bounded] -> serialized at bitsPerSecond -> [in flight for `delay`] -> deliver()

import type { Packet } from '../buf/packet.ts'
import { UsageError } from '../errors.ts'
import { type Micros, micros, NEVER } from '../time.ts'
import { LinkCounters } from './link-counters.ts'

/** Bounds what is in flight where rate and delay do not: packets, and bytes of the pages they hold. */
const IN_FLIGHT_PACKETS = 65_536
const IN_FLIGHT_BYTES = 192 * 1_024 * 1_024
const MICROS_PER_SECOND = 1_000_000

export interface LineProfile {
  /** From the last bit sent to its arrival. Default 0. */
  readonly delay: Micros
  /** A whole number of bits per second, or Infinity (the default): packets take no time to send. */
  readonly bitsPerSecond: number
  /** Packets that wait for the transmitter, the one being sent included. Default 1,000, as in Linux. */
  readonly queuePackets: number
  /** Bytes of those packets, as on the wire. Default 4 MiB. */
  readonly queueBytes: number
}

export const DEFAULT_PROFILE: LineProfile = {
  delay: micros(0),
  bitsPerSecond: Number.POSITIVE_INFINITY,
  queuePackets: 1_000,
  queueBytes: 4 * 1_024 * 1_024,
}

interface Flight {
  readonly packet: Packet
  readonly bytes: number
  readonly charge: number
  /** When the last bit leaves the transmitter. */
  readonly departsAt: Micros
  readonly arrivesAt: Micros
  next: Flight | null
}

export class Line {
  readonly counters = new LinkCounters()
  /** Packets on the way: waiting, being sent or in flight. */
  inFlight = 0
  private profile: LineProfile
  private up = true
  private closed = false
  private first: Flight | null = null
  private last: Flight | null = null
  private chargedBytes = 0
  /** The first that has not left the transmitter. */
  private waiting: Flight | null = null
  private waitingPackets = 0
  private waitingBytes = 0
  /** When the transmitter falls idle: whole microseconds, and a rest in units of 1 / bitsPerSecond microseconds. */
  private busyUntil = micros(0)
  private busyRest = 0

  constructor(profile: Partial<LineProfile>) {
    this.profile = checkedProfile(DEFAULT_PROFILE, profile)
  }

  get isUp(): boolean {
    return this.up
  }

  /** Changes some of the profile for packets to come; those on the way keep their instants, and order is kept. */
  configure(profile: Partial<LineProfile>): void {
    this.profile = checkedProfile(this.profile, profile)
    if (this.busyRest > 0) this.busyUntil = micros(this.busyUntil + 1)
    this.busyRest = 0
  }

  /** Consumes the packet; false where it was dropped and counted. */
  send(packet: Packet, now: Micros): boolean {
    if (this.closed) return this.counters.drop(packet, 'deviceDown')
    if (!this.up) return this.counters.drop(packet, 'faultPartition')
    this.depart(now)
    const bytes = packet.length
    const charge = packet.chargedBytes
    const { queuePackets, queueBytes, delay } = this.profile
    const full =
      this.waitingPackets >= queuePackets || (this.waitingPackets > 0 && this.waitingBytes + bytes > queueBytes)
    if (full || this.inFlight >= IN_FLIGHT_PACKETS || this.chargedBytes + charge > IN_FLIGHT_BYTES) {
      return this.counters.drop(packet, 'cableQueueFull')
    }
    this.counters.accept(packet)
    const departsAt = this.serialize(bytes, now)
    const arrivesAt = micros(Math.max(departsAt + delay, this.last === null ? 0 : this.last.arrivesAt))
    this.enter({ packet, bytes, charge, departsAt, arrivesAt, next: null })
    return true
  }

  /** When the next packet arrives; NEVER when none is on the way. */
  nextArrival(): Micros {
    return this.first === null ? NEVER : this.first.arrivesAt
  }

  /** Hands over what has arrived by `now`, but nothing that was sent while it did so. */
  deliver(now: Micros, receive: ((packet: Packet) => void) | null): void {
    for (let left = this.inFlight; left > 0; left--) {
      if (this.first === null || this.first.arrivesAt > now) return
      this.depart(now)
      const packet = this.leave()
      if (receive === null) this.counters.drop(packet, 'deviceDown')
      else receive(packet)
    }
  }

  /** Nothing gets through from here on; what is on the way is lost. A second call does nothing. */
  cut(): void {
    this.up = false
    while (this.first !== null) this.counters.drop(this.leave(), 'faultPartition')
    this.busyUntil = micros(0)
    this.busyRest = 0
  }

  mend(): void {
    this.up = true
  }

  /** The far end is gone for good: releases what is on the way, and takes nothing more. */
  close(): void {
    this.closed = true
    while (this.first !== null) this.leave().release()
  }

  /** The instant at which the last bit of a packet sent now leaves; exact: no rounding adds up from packet to packet. */
  private serialize(bytes: number, now: Micros): Micros {
    const { bitsPerSecond } = this.profile
    if (this.busyUntil < now) {
      this.busyUntil = now
      this.busyRest = 0
    }
    if (bitsPerSecond !== Number.POSITIVE_INFINITY) {
      const work = bytes * 8 * MICROS_PER_SECOND + this.busyRest
      const whole = Math.floor(work / bitsPerSecond)
      this.busyUntil = micros(this.busyUntil + whole)
      this.busyRest = work - whole * bitsPerSecond
    }
    return this.busyRest > 0 ? micros(this.busyUntil + 1) : this.busyUntil
  }

  /** Stops counting those as waiting that have left the transmitter by now. */
  private depart(now: Micros): void {
    while (this.waiting !== null && this.waiting.departsAt <= now) this.passWaiting(this.waiting)
  }

  private passWaiting(flight: Flight): void {
    this.waitingPackets--
    this.waitingBytes -= flight.bytes
    this.waiting = flight.next
  }

  private enter(flight: Flight): void {
    if (this.last === null) this.first = flight
    else this.last.next = flight
    this.last = flight
    this.inFlight++
    this.chargedBytes += flight.charge
    if (this.waiting === null) this.waiting = flight
    this.waitingPackets++
    this.waitingBytes += flight.bytes
  }

  private leave(): Packet {
    const flight = this.first!
    if (this.waiting === flight) this.passWaiting(flight)
    this.first = flight.next
    if (this.first === null) this.last = null
    this.inFlight--
    this.chargedBytes -= flight.charge
    return flight.packet
  }
}

function checkedProfile(base: LineProfile, changes: Partial<LineProfile>): LineProfile {
  const profile = { ...base, ...changes }
  const { delay, bitsPerSecond, queuePackets, queueBytes } = profile
  if (!(Number.isSafeInteger(delay) && delay >= 0)) {
    throw new UsageError(`delay is ${delay}: give whole microseconds, 0 or more`)
  }
  if (!(bitsPerSecond === Number.POSITIVE_INFINITY || (Number.isSafeInteger(bitsPerSecond) && bitsPerSecond >= 1))) {
    throw new UsageError(`bitsPerSecond is ${bitsPerSecond}: give a whole number from 1 on, or Infinity`)
  }
  if (!(queuePackets >= 1)) throw new UsageError(`queuePackets is ${queuePackets}: give 1 or more`)
  if (!(queueBytes >= 0)) throw new UsageError(`queueBytes is ${queueBytes}: give 0 or more`)
  return profile
}
