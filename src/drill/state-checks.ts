// Assertions about the state of the stack: %{ code }% over tcp_info, and the commands that look at sockets.

import {
  CA_DISORDER,
  CA_LOSS,
  CA_OPEN,
  CA_RECOVERY,
  OPTION_SACK,
  OPTION_TIMESTAMPS,
  OPTION_WINDOW_SCALE,
  TCP_STATE_NUMBERS,
  type TcpInfo,
  tcpInfo,
} from '../tcp/info.ts'
import { runCode, type Value } from './code.ts'
import { configure, Profile } from './profile.ts'
import { NotRunError } from './script.ts'
import type { ScriptHost } from './script-host.ts'

const CONSTANTS: Readonly<Record<string, number>> = {
  TCP_ESTABLISHED: 1,
  TCP_SYN_SENT: 2,
  TCP_SYN_RECV: 3,
  TCP_FIN_WAIT1: 4,
  TCP_FIN_WAIT2: 5,
  TCP_TIME_WAIT: 6,
  TCP_CLOSE: 7,
  TCP_CLOSE_WAIT: 8,
  TCP_LAST_ACK: 9,
  TCP_LISTEN: 10,
  TCP_CLOSING: 11,
  TCP_CA_Open: CA_OPEN,
  TCP_CA_Disorder: CA_DISORDER,
  TCP_CA_CWR: 2,
  TCP_CA_Recovery: CA_RECOVERY,
  TCP_CA_Loss: CA_LOSS,
  TCPI_OPT_TIMESTAMPS: OPTION_TIMESTAMPS,
  TCPI_OPT_SACK: OPTION_SACK,
  TCPI_OPT_WSCALE: OPTION_WINDOW_SCALE,
  TCPI_OPT_ECN: 8,
  TCPI_OPT_ECN_SEEN: 16,
  TCPI_OPT_SYN_DATA: 32,
}

/** Evaluates a block; an assertion that does not hold fails the script. */
export function evaluate(host: ScriptHost, line: number, code: string, variables: Map<string, Value>): void {
  const connection = host.sockets.current?.connection ?? null
  const info = connection === null ? null : tcpInfo(connection, host.stack.tcp.config, host.clock.now())
  const failure = runCode(code, variables, (name) => CONSTANTS[name] ?? (info === null ? undefined : field(info, name)))
  if (failure !== null) host.fail(line, failure, null, null)
}

/** Linux's for "not paced": all 64 bits set. */
const UNPACED = 2 ** 64

/** `tcpi_snd_cwnd` is sndCwnd. */
function field(info: TcpInfo, name: string): number | undefined {
  if (!name.startsWith('tcpi_')) return undefined
  const key = name.slice(5).replace(/_(\w)/g, (_match, letter: string) => letter.toUpperCase())
  if (key === 'pacingRate' && info.pacingRate === 0) return UNPACED
  return key in info ? info[key as keyof TcpInfo] : undefined
}

const STATES: Readonly<Record<string, number>> = {
  SYN_RCVD: 3,
  SYN_RECV: 3,
  TIME_WAIT: 6,
  FIN_WAIT_1: 4,
  FIN_WAIT_2: 5,
  ESTABLISHED: 1,
  CLOSE_WAIT: 8,
  LAST_ACK: 9,
  CLOSING: 11,
}

/** A command in the course of a script: looks at sockets, or sets what means nothing here. */
export function runShell(host: ScriptHost, line: number, command: string): void {
  if (host.options.level === 'portable') return
  const look = /(!\s*)?sockstat\b.*?grep\s+(?:-\w+\s+)*["']?(\w+)/.exec(command)
  if (look === null) {
    // Settings before the first socket were made the stack's own already.
    if (host.sockets.flows.length === 0) return
    const late = new Profile()
    configure(late, host.script.file, { command, line })
    if (late.isSet) throw new NotRunError('settings that change once sockets exist')
    return
  }
  const state = STATES[look[2]!]
  if (state === undefined) throw new NotRunError(`sockets in the state ${look[2]}`)
  let count = 0
  for (const connection of host.stack.tcp.demux.values()) if (TCP_STATE_NUMBERS[connection.state] === state) count++
  if (count > 0 === (look[1] !== undefined)) host.fail(line, `${count} sockets are in the state ${look[2]}`, null, null)
}
