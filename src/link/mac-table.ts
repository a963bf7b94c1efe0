// What a switch has learned: which port a station is behind. Bounded, aged, and fair when it is full: a flood
// of made-up sources fills what its own port is left, and stations of other ports push it out again.

import type { Micros } from '../time.ts'
import { after, seconds } from '../time.ts'

/** IEEE 802.1D-2004 table 7-5: the recommended default. */
export const MAC_AGEING: Micros = seconds(300)
const DEFAULT_STATIONS = 1_024

interface Station {
  port: number
  seenAt: Micros
}

export class MacTable {
  /** Sources that found the table full and were not learned: frames to them are flooded. */
  refused = 0
  private readonly limit: number
  private readonly stations = new Map<number, Station>()
  /** By port, the least recently seen first. */
  private readonly byPort: Map<number, Station>[] = []

  constructor(limit: number = DEFAULT_STATIONS) {
    this.limit = limit
  }

  get size(): number {
    return this.stations.size
  }

  /** Notes that a frame from `key` came in by `port`; false where there was no room. */
  learn(key: number, port: number, now: Micros): boolean {
    let station = this.stations.get(key)
    if (station === undefined) {
      if (this.stations.size >= this.limit && !this.makeRoom(port, now)) {
        this.refused++
        return false
      }
      station = { port, seenAt: now }
      this.stations.set(key, station)
    } else this.atPort(station.port).delete(key)
    station.port = port
    station.seenAt = now
    this.atPort(port).set(key, station)
    return true
  }

  /** The port behind which `key` was seen within the ageing time; -1: unknown. */
  lookup(key: number, now: Micros): number {
    const station = this.stations.get(key)
    if (station === undefined) return -1
    if (now < after(station.seenAt, MAC_AGEING)) return station.port
    this.forget(key, station)
    return -1
  }

  /** Forgets all stations of a port. */
  forgetPort(port: number): void {
    for (const key of this.atPort(port).keys()) this.stations.delete(key)
    this.atPort(port).clear()
  }

  private atPort(port: number): Map<number, Station> {
    return (this.byPort[port] ??= new Map())
  }

  private forget(key: number, station: Station): void {
    this.stations.delete(key)
    this.atPort(station.port).delete(key)
  }

  /** Gives up an aged station, or the stalest of the port that has the most: never one of a port with no more than ours. */
  private makeRoom(port: number, now: Micros): boolean {
    let fullest = this.atPort(port)
    for (const stations of this.byPort) {
      for (const [key, station] of stations) {
        if (now < after(station.seenAt, MAC_AGEING)) break
        this.forget(key, station)
        return true
      }
      if (stations.size > fullest.size) fullest = stations
    }
    if (fullest === this.atPort(port)) return false
    for (const [key, station] of fullest) {
      this.forget(key, station)
      return true
    }
    return false
  }
}
