// The live state as a person reads it: figures that sum it up, and tables of cells that are text. The page is made of
// them on the server, and its script asks for the same cells again: what a cell says is decided here and nowhere else.

import type { AddressState, InterfaceState, NeighborRow, RouteState, SocketState } from '../control/host-state.ts'
import type { LiveState, Rows } from './live-state.ts'

/** How a column is set: numbers to the right, states with a mark of their colour. The first column names the row. */
export type ColumnKind = 'text' | 'number' | 'state'

export interface TableLook {
  readonly id: string
  readonly title: string
  readonly columns: readonly (readonly [title: string, kind: ColumnKind])[]
  /** What is said of a table without rows. */
  readonly empty: string
}

/** What changes from look to look. */
export interface TableContent {
  readonly id: string
  /** How many there are, and how many of them are shown. */
  readonly caption: string
  readonly rows: readonly (readonly string[])[]
}

export interface Figure {
  readonly id: string
  readonly label: string
  readonly value: string
  readonly detail: string
}

/** All that changes on the page. */
export interface Content {
  readonly figures: readonly Figure[]
  readonly tables: readonly TableContent[]
}

const NONE = '–'

/** In the order of the page. */
export const TABLES: readonly TableLook[] = [
  {
    id: 'interfaces',
    title: 'Interfaces',
    columns: [
      ['Interface', 'text'],
      ['State', 'state'],
      ['Addresses', 'text'],
      ['MAC address', 'text'],
      ['MTU', 'number'],
      ['Packets in', 'number'],
      ['Bytes in', 'number'],
      ['Packets out', 'number'],
      ['Bytes out', 'number'],
    ],
    empty: 'The host has no interface.',
  },
  {
    id: 'connections',
    title: 'Connections',
    columns: [
      ['Peer', 'text'],
      ['State', 'state'],
      ['Local address', 'text'],
      ['Unread', 'number'],
      ['Unacknowledged', 'number'],
    ],
    empty: 'Nobody is connected.',
  },
  {
    id: 'ports',
    title: 'Open ports',
    columns: [
      ['Port', 'text'],
      ['Protocol', 'text'],
      ['Local address', 'text'],
      ['State', 'state'],
      ['Waiting', 'number'],
    ],
    empty: 'No port is open.',
  },
  {
    id: 'neighbors',
    title: 'Neighbours',
    columns: [
      ['Address', 'text'],
      ['State', 'state'],
      ['MAC address', 'text'],
      ['Interface', 'text'],
    ],
    empty: 'No neighbour is known.',
  },
  {
    id: 'routes',
    title: 'Routes',
    columns: [
      ['Destination', 'text'],
      ['Gateway', 'text'],
      ['Interface', 'text'],
      ['Origin', 'text'],
    ],
    empty: 'There is no route.',
  },
  {
    id: 'counters',
    title: 'Counters',
    columns: [
      ['Name', 'text'],
      ['Count', 'number'],
    ],
    empty: 'Nothing was counted yet.',
  },
]

export function contentOf(state: LiveState): Content {
  const counts = Object.entries(state.counters).filter(([, count]) => count > 0)
  return {
    figures: figuresOf(state),
    tables: [
      table('interfaces', state.interfaces, ['interface', 'interfaces'], interfaceCells),
      table('connections', state.connections, ['TCP connection', 'TCP connections'], connectionCells),
      table('ports', state.ports, ['UDP port or TCP listener', 'UDP ports and TCP listeners'], portCells),
      table('neighbors', state.neighbors, ['neighbour', 'neighbours'], neighborCells),
      table('routes', state.routes, ['route', 'routes'], routeCells),
      {
        id: 'counters',
        caption: `${counts.length} of ${Object.keys(state.counters).length} counters are not zero, since the host began`,
        rows: counts.map(([name, count]) => [name, grouped(count)]),
      },
    ],
  }
}

function table<Row>(
  id: string,
  { total, rows }: Rows<Row>,
  [one, many]: readonly [string, string],
  cells: (row: Row) => readonly string[],
): TableContent {
  const all = `${grouped(total)} ${total === 1 ? one : many}`
  return { id, caption: rows.length < total ? `The first ${rows.length} of ${all}` : all, rows: rows.map(cells) }
}

const interfaceCells = (on: InterfaceState): string[] => [
  on.name,
  on.up ? 'UP' : 'DOWN',
  on.addresses.map(addressText).join('\n'),
  on.mac ?? NONE,
  grouped(on.mtu),
  grouped(on.receivedPackets),
  grouped(on.receivedBytes),
  grouped(on.sentPackets),
  grouped(on.sentBytes),
]

const addressText = ({ address, prefixLength, state }: AddressState): string =>
  `${address}/${prefixLength}${state === 'preferred' ? '' : ` (${state})`}`

const connectionCells = (row: SocketState): string[] => [
  endpoint(row.remoteAddress, row.remotePort),
  row.state,
  endpoint(row.localAddress, row.localPort),
  grouped(row.receiveQueue),
  grouped(row.sendQueue),
]

const portCells = (row: SocketState): string[] => [
  String(row.localPort),
  row.protocol.toUpperCase(),
  isAny(row.localAddress) ? (row.family === 6 && !row.v6Only ? 'any' : `any IPv${row.family}`) : row.localAddress,
  row.state === 'UNCONN' ? 'OPEN' : row.state,
  grouped(row.receiveQueue),
]

const neighborCells = (row: NeighborRow): string[] => [
  row.isRouter ? `${row.address} (router)` : row.address,
  row.state,
  row.mac ?? NONE,
  row.interface,
]

const routeCells = (row: RouteState): string[] => [
  row.isDefault ? `default (IPv${row.family})` : row.prefix,
  row.kind === 'unicast' ? (row.gateway ?? NONE) : row.kind,
  row.interface,
  row.origin,
]

const isAny = (address: string): boolean => address === '0.0.0.0' || address === '::'

const endpoint = (address: string | null, port: number): string =>
  address?.includes(':') === true ? `[${address}]:${port}` : `${address ?? '*'}:${port}`

/** 1234567 as 1,234,567, whatever the locale. */
const grouped = (count: number): string => String(count).replace(/\B(?=(?:\d{3})+$)/g, ',')

function figuresOf(state: LiveState): Figure[] {
  const { counters, connections } = state
  const links = state.interfaces.rows.filter(({ isLoopback }) => !isLoopback)
  const sum = (of: (on: InterfaceState) => number): number => links.reduce((all, on) => all + of(on), 0)
  const dropped = Object.entries(counters).reduce(
    (all, [name, count]) => (name.startsWith('drop.') ? all + count : all),
    0,
  )
  return [
    { id: 'uptime', label: 'Up for', value: duration(state.upFor), detail: 'this host' },
    {
      id: 'received',
      label: 'Received',
      value: bytes(sum((on) => on.receivedBytes)),
      detail: `${grouped(sum((on) => on.receivedPackets))} packets`,
    },
    {
      id: 'sent',
      label: 'Sent',
      value: bytes(sum((on) => on.sentBytes)),
      detail: `${grouped(sum((on) => on.sentPackets))} packets`,
    },
    {
      id: 'connected',
      label: 'Connections',
      value: grouped(connections.total),
      detail: `${grouped(counters.TcpPassiveOpens ?? 0)} accepted so far`,
    },
    { id: 'again', label: 'Sent again', value: grouped(counters.TcpRetransSegs ?? 0), detail: 'segments of TCP' },
    { id: 'dropped', label: 'Dropped', value: grouped(dropped), detail: 'packets' },
  ]
}

const MINUTE = 60
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** The two largest units. */
function duration(seconds: number): string {
  if (seconds < MINUTE) return `${seconds} s`
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min ${seconds % MINUTE} s`
  if (seconds < DAY) return `${Math.floor(seconds / HOUR)} h ${Math.floor((seconds % HOUR) / MINUTE)} min`
  return `${Math.floor(seconds / DAY)} d ${Math.floor((seconds % DAY) / HOUR)} h`
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const
const UNIT_STEP = 1_024
/** From here on no decimal. */
const LONG_VALUE = 100

function bytes(count: number): string {
  let value = count
  let unit = 0
  while (value >= UNIT_STEP && unit < UNITS.length - 1) {
    value /= UNIT_STEP
    unit++
  }
  return `${unit === 0 || value >= LONG_VALUE ? Math.floor(value) : value.toFixed(1)} ${UNITS[unit]}`
}
