// `hourglass ss`: the sockets of a running host, in the columns of ss(8).

import type { Command } from 'commander'
import type { SocketState } from '../node/control/host-state.ts'
import { INFINITE_SSTHRESH, OPTION_SACK, OPTION_TIMESTAMPS, OPTION_WINDOW_SCALE, type TcpInfo } from '../tcp/info.ts'
import { addControlOptions, type ControlFlags, rowsOf } from './control.ts'
import { drained, EXIT_OK, print } from './output.ts'

interface SsFlags extends ControlFlags {
  tcp?: boolean
  udp?: boolean
  listening?: boolean
  all?: boolean
  info?: boolean
  header: boolean
  ipv4?: boolean
  ipv6?: boolean
}

/** ss(8)'s names where they are not RFC 9293's. */
const STATES: Readonly<Record<string, string>> = { ESTABLISHED: 'ESTAB', 'SYN-RECEIVED': 'SYN-RECV', CLOSED: 'UNCONN' }
const PASSIVE = new Set(['LISTEN', 'UNCONN'])
/** What ss(8) leaves out when nobody asks for all. */
const QUIET = new Set(['LISTEN', 'UNCONN', 'TIME-WAIT', 'SYN-RECV'])
/** Rows from which the widths of the columns are taken. */
const WIDTH_ROWS = 1_000
const MICROS_PER_MILLI = 1_000
const MICROS_PER_SECOND = 1_000_000
const BITS = 8
const RATE_UNITS: readonly (readonly [least: number, name: string])[] = [
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
]

export function ssCommand(program: Command, end: (code: number) => void): void {
  const command = program
    .command('ss')
    .summary("a running host's sockets, as ss(8) prints them")
    .description('Prints the sockets of a running host: those with a peer, unless -a or -l asks for others.')
    .option('-t, --tcp', 'TCP')
    .option('-u, --udp', 'UDP')
    .option('-l, --listening', 'those that wait for peers')
    .option('-a, --all', 'all')
    .option('-i, --info', 'what TCP knows: windows, round trips, retransmissions')
    .option('-n, --numeric', 'as ss(8) has it; no names are looked up anyway')
    .option('-p, --processes', 'no effect: all are those of one process, the host')
    .option('-4, --ipv4', 'IPv4 only')
    .option('-6, --ipv6', 'IPv6 only')
    .option('-H, --no-header', 'no line of titles')
  addControlOptions(command).action(async (flags: SsFlags) => end(await ss(flags)))
  command.addHelpText('before', 'Examples:\n  hourglass ss -tulpn\n  hourglass ss -ti\n  hourglass ss -l --json\n')
}

async function ss(flags: SsFlags): Promise<number> {
  const both = flags.tcp === flags.udp
  const widths = new Columns(both)
  let held: SocketState[] | null = []
  let first = true
  const show = (row: SocketState): void => {
    if (flags.json === true) print(`${first ? '[' : ','}${JSON.stringify(row)}`)
    else print(widths.line(row))
    if (flags.json !== true && row.info !== null) print(infoLine(row, row.info))
    first = false
  }
  const begin = (rows: readonly SocketState[]): void => {
    for (const row of rows) widths.fit(row)
    if (flags.header && flags.json !== true) print(widths.header())
    for (const row of rows) show(row)
    held = null
  }
  for await (const row of rowsOf(flags, 'sockets', { info: flags.info ?? false })) {
    if (!isWanted(row, flags)) continue
    if (held === null) show(row)
    else if (held.push(row) >= WIDTH_ROWS) begin(held)
    await drained()
  }
  if (held !== null) begin(held)
  if (flags.json === true) print(first ? '[]' : ']')
  return EXIT_OK
}

function isWanted(row: SocketState, flags: SsFlags): boolean {
  if (!isOneOf(row.protocol === 'tcp', flags.tcp, flags.udp)) return false
  if (!isOneOf(row.family === 4, flags.ipv4, flags.ipv6)) return false
  const state = stateOf(row)
  if (flags.all === true) return true
  return flags.listening === true ? PASSIVE.has(state) : !QUIET.has(state)
}

/** Of two kinds, where neither flag is given both are wanted. */
const isOneOf = (isFirst: boolean, first = false, second = false): boolean => first === second || first === isFirst

const stateOf = (row: SocketState): string => STATES[row.state] ?? row.state

/** An IPv6 socket that takes IPv4 as well is bound to `*`. */
function addressText(row: SocketState, address: string | null): string {
  const isAny = address === null || address === '0.0.0.0' || address === '::'
  if (row.family === 4) return isAny ? '0.0.0.0' : address
  if (isAny) return row.v6Only ? '[::]' : '*'
  return `[${address}]`
}

const localText = (row: SocketState): string => addressText(row, row.localAddress)
const peerText = (row: SocketState): string => addressText(row, row.remoteAddress)
const peerPort = (row: SocketState): string => (row.remoteAddress === null ? '*' : String(row.remotePort))

class Columns {
  private state = 'State'.length
  private local = 'Local Address'.length
  private localPort = 'Port'.length
  private peer = 'Peer Address'.length
  private peerPort = 'Port'.length
  private readonly withProtocol: boolean

  constructor(withProtocol: boolean) {
    this.withProtocol = withProtocol
  }

  fit(row: SocketState): void {
    this.state = Math.max(this.state, stateOf(row).length)
    this.local = Math.max(this.local, localText(row).length)
    this.localPort = Math.max(this.localPort, String(row.localPort).length)
    this.peer = Math.max(this.peer, peerText(row).length)
    this.peerPort = Math.max(this.peerPort, peerPort(row).length)
  }

  header(): string {
    return this.join('Netid', 'State', 'Recv-Q', 'Send-Q', ['Local Address', 'Port'], ['Peer Address', 'Port'])
  }

  line(row: SocketState): string {
    const local: [string, string] = [localText(row), String(row.localPort)]
    const peer: [string, string] = [peerText(row), peerPort(row)]
    return this.join(row.protocol, stateOf(row), String(row.receiveQueue), String(row.sendQueue), local, peer)
  }

  private join(
    protocol: string,
    state: string,
    receive: string,
    send: string,
    local: readonly [string, string],
    peer: readonly [string, string],
  ): string {
    const words = [
      ...(this.withProtocol ? [protocol.padEnd(5)] : []),
      state.padEnd(this.state),
      receive.padEnd(6),
      send.padEnd(6),
      `${local[0].padStart(this.local)}:${local[1].padEnd(this.localPort)}`,
      `${peer[0].padStart(this.peer)}:${peer[1].padEnd(this.peerPort)}`,
    ]
    return words.join(' ').trimEnd()
  }
}

/** Bits a second, as ss(8) has them. */
function rateText(rate: number): string {
  const [unit, name] = RATE_UNITS.find(([least]) => rate >= least) ?? [1, '']
  return `${Number((rate / unit).toPrecision(3))}${name}bps`
}

const millisText = (micros: number): string => String(Math.round(micros) / MICROS_PER_MILLI)

/** The line that ss -i adds: what is zero and says nothing is left out, as there. */
function infoLine(row: SocketState, info: TcpInfo): string {
  const words: string[] = []
  const count = (name: string, value: number): void => {
    if (value > 0) words.push(`${name}:${value}`)
  }
  if ((info.options & OPTION_TIMESTAMPS) !== 0) words.push('ts')
  if ((info.options & OPTION_SACK) !== 0) words.push('sack')
  if (row.congestionControl !== null) words.push(row.congestionControl)
  if ((info.options & OPTION_WINDOW_SCALE) !== 0) words.push(`wscale:${info.sndWscale},${info.rcvWscale}`)
  words.push(`rto:${millisText(info.rto)}`)
  count('backoff', info.backoff)
  if (info.rtt > 0) words.push(`rtt:${millisText(info.rtt)}/${millisText(info.rttvar)}`)
  if (info.ato > 0) words.push(`ato:${millisText(info.ato)}`)
  words.push(`mss:${info.sndMss}`, `pmtu:${info.pmtu}`, `rcvmss:${info.rcvMss}`, `advmss:${info.advmss}`)
  words.push(`cwnd:${info.sndCwnd}`)
  if (info.sndSsthresh !== INFINITE_SSTHRESH) words.push(`ssthresh:${info.sndSsthresh}`)
  count('bytes_sent', info.bytesSent)
  count('bytes_retrans', info.bytesRetrans)
  count('bytes_acked', info.bytesAcked)
  count('bytes_received', info.bytesReceived)
  count('segs_out', info.segsOut)
  count('segs_in', info.segsIn)
  count('data_segs_out', info.dataSegsOut)
  count('data_segs_in', info.dataSegsIn)
  if (info.rtt > 0) words.push('send', rateText((info.sndCwnd * info.sndMss * BITS * MICROS_PER_SECOND) / info.rtt))
  count('lastsnd', info.lastDataSent)
  words.push(`lastrcv:${info.lastDataRecv}`, `lastack:${info.lastAckRecv}`)
  if (info.pacingRate > 0) words.push('pacing_rate', rateText(info.pacingRate * BITS))
  count('unacked', info.unacked)
  if (info.retrans > 0 || info.totalRetrans > 0) words.push(`retrans:${info.retrans}/${info.totalRetrans}`)
  count('lost', info.lost)
  count('sacked', info.sacked)
  count('dsack_dups', info.dsackDups)
  count('reord_seen', info.reordSeen)
  if (info.rcvRtt > 0) words.push(`rcv_rtt:${millisText(info.rcvRtt)}`)
  count('rcv_space', info.rcvSpace)
  count('rcv_ssthresh', info.rcvSsthresh)
  count('notsent', info.notsentBytes)
  if (info.minRtt > 0) words.push(`minrtt:${millisText(info.minRtt)}`)
  count('rcv_ooopack', info.rcvOoopack)
  count('snd_wnd', info.sndWnd)
  count('rcv_wnd', info.rcvWnd)
  return `\t ${words.join(' ')}`
}
