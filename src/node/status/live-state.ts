// What the page of `up --http` shows and /state.json says: the rows of control/host-state.ts, of each kind so many at
// most, with how many there are, so that an answer stays small however much a host does.

import type { Stack } from '../../stack.ts'
import {
  connectionRows,
  counterRows,
  type InterfaceState,
  interfaceRows,
  type NeighborRow,
  neighborRows,
  portRows,
  type RouteState,
  routeRows,
  type SocketState,
} from '../control/host-state.ts'

/** Of each kind; what there is beyond is counted only. */
export const MOST_ROWS = 200

/** The first rows of a kind, and how many there are. */
export interface Rows<Row> {
  readonly total: number
  readonly rows: readonly Row[]
}

export interface LiveState {
  /** The host's. */
  readonly name: string
  /** Seconds since the host began. */
  readonly upFor: number
  readonly interfaces: Rows<InterfaceState>
  readonly routes: Rows<RouteState>
  readonly neighbors: Rows<NeighborRow>
  /** UDP ports and TCP listeners. */
  readonly ports: Rows<SocketState>
  /** TCP connections, TIME-WAIT included. */
  readonly connections: Rows<SocketState>
  /** Every count, zero or not; drops as `drop.REASON`. */
  readonly counters: Readonly<Record<string, number>>
}

const MICROS_PER_SECOND = 1_000_000

/** A snapshot. */
export function liveState(stack: Stack): LiveState {
  return {
    name: stack.name,
    upFor: Math.floor(stack.clock.now() / MICROS_PER_SECOND),
    interfaces: counted(interfaceRows(stack)),
    routes: counted(routeRows(stack)),
    neighbors: counted(neighborRows(stack)),
    ports: counted(portRows(stack)),
    connections: first(connectionRows(stack, false), stack.tcp.demux.size),
    counters: Object.fromEntries([...counterRows(stack.counters)].map(({ name, count }) => [name, count])),
  }
}

/** Where nobody keeps the number. These are few: an administrator's, or bounded by the stack. */
function counted<Row>(all: Iterable<Row>): Rows<Row> {
  const rows: Row[] = []
  let total = 0
  for (const row of all) if (++total <= MOST_ROWS) rows.push(row)
  return { total, rows }
}

/** A hundred thousand connections cost no more than the rows that are shown. */
function first<Row>(all: Iterator<Row>, total: number): Rows<Row> {
  const rows: Row[] = []
  for (let next = all.next(); next.done !== true; next = all.next()) {
    rows.push(next.value)
    if (rows.length === MOST_ROWS) break
  }
  return { total, rows }
}
