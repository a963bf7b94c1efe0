// The errors of node:net with a text of their own; those that it shares with dgram and dns are in ../node-errors.ts.

import { format } from 'node:util'
import { codedError } from '../node-errors.ts'

type ErrorClass = new (message: string) => Error

const TEXTS = {
  ERR_INVALID_HANDLE_TYPE: [TypeError, 'This handle type cannot be sent'],
  ERR_SERVER_ALREADY_LISTEN: [Error, 'Listen method has been called more than once without closing.'],
  ERR_SERVER_NOT_RUNNING: [Error, 'Server is not running.'],
  ERR_SOCKET_CLOSED: [Error, 'Socket is closed'],
  ERR_SOCKET_CLOSED_BEFORE_CONNECTION: [Error, 'Socket closed before the connection was established'],
  ERR_SOCKET_CONNECTION_TIMEOUT: [Error, 'Socket connection timeout'],
} as const satisfies Record<string, readonly [ErrorClass, string]>

export function plainError(code: keyof typeof TEXTS): Error {
  const [kind, text] = TEXTS[code]
  return codedError(kind, code, text)
}

/** None of the three that connect() can do with is there. */
export const nowhereError = (): Error =>
  codedError(TypeError, 'ERR_MISSING_ARGS', 'The "options" or "port" or "path" argument must be specified')

export const badAddressError = (address: unknown): Error =>
  codedError(TypeError, 'ERR_INVALID_IP_ADDRESS', format('Invalid IP address: %s', address))

export const badFamilyError = (family: unknown, host: unknown, port: unknown): Error =>
  Object.assign(
    codedError(RangeError, 'ERR_INVALID_ADDRESS_FAMILY', `Invalid address family: ${family} ${host}:${port}`),
    { host, port },
  )

export const blockedError = (address: string): Error =>
  codedError(Error, 'ERR_IP_BLOCKED', `IP(${address}) is blocked by net.BlockList`)

/** What Node says to somebody who writes when the peer has ended and half-open connections are not wanted. */
export function endedByPeerError(): Error {
  return Object.assign(new Error('This socket has been ended by the other party'), { code: 'EPIPE' })
}

/** Every attempt failed: an AggregateError without a message, with the code of the first. */
export function attemptsError(errors: readonly Error[]): AggregateError {
  const [first] = errors as readonly NodeJS.ErrnoException[]
  return Object.assign(new AggregateError(errors, ''), { code: first?.code })
}
