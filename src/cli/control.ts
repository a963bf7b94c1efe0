// What the commands that ask a running host have in common: which host, and rows as they come.

import type { Command } from 'commander'
import { ask, findControl } from '../node/control/ask.ts'
import type { CounterRow, InterfaceState, NeighborRow, RouteState, SocketState } from '../node/control/host-state.ts'
import type { ControlRequest, Shown } from '../node/control/request.ts'

export interface ControlFlags {
  control?: string
  json?: boolean
}

interface Rows {
  interfaces: InterfaceState
  routes: RouteState
  neighbors: NeighborRow
  sockets: SocketState
  counters: CounterRow
}

export const addControlOptions = (command: Command): Command =>
  command
    .option('--control <PATH>', 'the control socket of the host; default: the only one that runs')
    .option('-j, --json', 'print JSON')

/** The rows of a running host. Throws UsageError, EnvironmentError. */
export async function* rowsOf<Kind extends Shown>(
  flags: ControlFlags,
  show: Kind,
  more: Partial<ControlRequest> = {},
): AsyncGenerator<Rows[Kind]> {
  // The host is of this version, as it has our control socket: its rows are what it declares.
  for await (const row of ask(flags.control ?? (await findControl()), { show, info: more.info ?? false }))
    yield row as Rows[Kind]
}

export async function allRows<Kind extends Shown>(flags: ControlFlags, show: Kind): Promise<Rows[Kind][]> {
  const rows: Rows[Kind][] = []
  for await (const row of rowsOf(flags, show)) rows.push(row)
  return rows
}
