// What is said on a control socket: one line of JSON asks, rows of JSON answer, one on a line, and a last line says
// that all was told. The server is control-socket.ts, the client is ask.ts.

import { UsageError } from '../../errors.ts'

export const SHOWN = ['interfaces', 'routes', 'neighbors', 'sockets', 'counters'] as const
export type Shown = (typeof SHOWN)[number]

export interface ControlRequest {
  readonly show: Shown
  /** Of sockets: with the fields of tcp_info. */
  readonly info: boolean
}

/** The last line of an answer. */
export type ControlEnd = { readonly end: true } | { readonly error: string }

/** Throws UsageError for what is no request. */
export function parseRequest(line: string): ControlRequest {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    throw new UsageError('the request is no JSON: write one object on one line, like {"show":"sockets"}')
  }
  const show = typeof value === 'object' && value !== null && 'show' in value ? value.show : undefined
  const known = SHOWN.find((one) => one === show)
  if (known === undefined) {
    throw new UsageError(`the request names nothing that can be shown: give "show" as one of ${SHOWN.join(', ')}`)
  }
  const info = typeof value === 'object' && value !== null && 'info' in value && value.info === true
  return { show: known, info }
}
