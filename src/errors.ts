// What a user's operation rejects with. Bad bytes never become exceptions: they are a returned Drop.

/** The codes that our sockets use; each means what it means in Node and in errno(3). */
export type NetErrorCode =
  | 'EACCES'
  | 'EADDRINUSE'
  | 'EADDRNOTAVAIL'
  | 'EAFNOSUPPORT'
  | 'EALREADY'
  | 'EBADF'
  | 'ECANCELED'
  | 'ECONNABORTED'
  | 'ECONNREFUSED'
  | 'ECONNRESET'
  | 'EDESTADDRREQ'
  | 'EHOSTUNREACH'
  | 'EINPROGRESS'
  | 'EINVAL'
  | 'EISCONN'
  | 'EMFILE'
  | 'EMSGSIZE'
  | 'ENETDOWN'
  | 'ENETUNREACH'
  | 'ENOBUFS'
  | 'ENODEV'
  | 'ENOPROTOOPT'
  | 'ENOTCONN'
  | 'EPERM'
  | 'EPIPE'
  | 'EPROTO'
  | 'ETIMEDOUT'

/** A failed operation of a user: `code` is Node's own, `message` says which operation on what. */
export class NetError extends Error {
  override readonly name = 'NetError'
  readonly code: NetErrorCode

  constructor(code: NetErrorCode, message: string) {
    super(`${code}: ${message}`)
    this.code = code
  }
}

/** A value that a user typed or passed cannot be used: the message says what, why and how to mend it. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** The surroundings lack something: `what` failed, `why`, and the one command or step that mends it. */
export class EnvironmentError extends Error {
  override readonly name = 'EnvironmentError'
  readonly what: string
  readonly why: string
  readonly mend: string

  constructor(what: string, why: string, mend: string) {
    super(`${what}: ${why}. To mend it: ${mend}`)
    this.what = what
    this.why = why
    this.mend = mend
  }
}
