// The numbers behind the names and expressions in the arguments of calls: those of Linux.

import { IpAddress } from '../wire/address.ts'
import { type Expression, NotRunError } from './script.ts'

export const ERRNO: Readonly<Record<string, number>> = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EBADF: 9,
  EAGAIN: 11,
  EWOULDBLOCK: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  EMFILE: 24,
  EPIPE: 32,
  EDOM: 33,
  EPROTO: 71,
  EDESTADDRREQ: 89,
  EMSGSIZE: 90,
  EPROTOTYPE: 91,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  EISCONN: 106,
  ENOTCONN: 107,
  ESHUTDOWN: 108,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
  EALREADY: 114,
  EINPROGRESS: 115,
  ECANCELED: 125,
}

export const AF_UNSPEC = 0
export const SOCK_DGRAM = 2
export const SOCK_NONBLOCK = 0x800
export const O_RDWR = 2
export const O_NONBLOCK = 0x800
export const POLLIN = 1
export const POLLOUT = 4
export const POLLERR = 8
export const POLLHUP = 16
export const POLLNVAL = 32
export const POLLRDHUP = 0x2000
export const MSG_PEEK = 2
export const MSG_DONTWAIT = 0x40
export const MSG_MORE = 0x8000
export const MSG_TRUNC = 0x20
export const MSG_WAITALL = 0x100
export const MSG_EOR = 0x80
export const MSG_NOSIGNAL = 0x4000
export const SHUT_RD = 0
export const SHUT_WR = 1

const SYMBOLS: Readonly<Record<string, number>> = {
  ...ERRNO,
  AF_UNSPEC,
  AF_INET: 2,
  AF_INET6: 10,
  PF_INET: 2,
  PF_INET6: 10,
  SOCK_STREAM: 1,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_CLOEXEC: 0x80000,
  IPPROTO_IP: 0,
  IPPROTO_ICMP: 1,
  IPPROTO_TCP: 6,
  IPPROTO_UDP: 17,
  IPPROTO_IPV6: 41,
  SOL_SOCKET: 1,
  SOL_IP: 0,
  SOL_IPV6: 41,
  SOL_TCP: 6,
  SHUT_RD,
  SHUT_WR,
  SHUT_RDWR: 2,
  F_GETFL: 3,
  F_SETFL: 4,
  O_RDONLY: 0,
  O_WRONLY: 1,
  O_RDWR,
  O_NONBLOCK,
  POLLIN,
  POLLPRI: 2,
  POLLOUT,
  POLLERR,
  POLLHUP,
  POLLNVAL,
  POLLRDNORM: 64,
  POLLWRNORM: 256,
  POLLRDHUP,
  MSG_OOB: 1,
  MSG_PEEK,
  MSG_TRUNC,
  MSG_DONTWAIT,
  MSG_EOR,
  MSG_WAITALL,
  MSG_ERRQUEUE: 0x2000,
  MSG_NOSIGNAL,
  MSG_MORE,
  MSG_ZEROCOPY: 0x4000000,
  MSG_FASTOPEN: 0x20000000,
  INADDR_ANY: 0,
  SOMAXCONN: 4_096,
}

/** The number that an expression stands for; ellipsis is what the caller supplies. */
export function numberOf(expression: Expression | undefined, supplied = 0): number {
  if (expression === undefined) return supplied
  switch (expression.kind) {
    case 'ellipsis':
      return supplied
    case 'number':
      return expression.value
    case 'or':
      return numberOf(expression.left) | numberOf(expression.right)
    case 'word': {
      const value = SYMBOLS[expression.name]
      if (value === undefined) throw new NotRunError(`the symbol ${expression.name}`)
      return value
    }
    case 'list':
      return numberOf(expression.items[0], supplied)
    case 'function':
      if (expression.name === 'htons' || expression.name === 'htonl') return numberOf(expression.args[0], supplied)
      throw new NotRunError(`the function ${expression.name}`)
    default:
      throw new NotRunError(`an argument of the kind ${expression.kind}`)
  }
}

/** A name as it is written: of a level or an option; numbers as text. */
export function nameOf(expression: Expression | undefined): string {
  if (expression?.kind === 'word') return expression.name
  return String(numberOf(expression))
}

/** The port that a socket address names; null: it is left to the tool. */
export function portOf(expression: Expression | undefined): number | null {
  if (expression?.kind !== 'record') return null
  return numberOf(expression.fields.get('sin_port') ?? expression.fields.get('sin6_port'))
}

/** There is one address at each end: a socket address that names another is not run; that of nobody names any. */
export function expectAddress(expression: Expression | undefined, only: IpAddress): void {
  if (expression?.kind !== 'record') return
  const named = expression.fields.get('sin_addr') ?? expression.fields.get('sin6_addr')
  if (named?.kind !== 'function') return
  const text = named.args[0]
  const address = text?.kind === 'string' ? IpAddress.parse(text.value) : text?.kind === 'address' ? text.address : null
  if (address === null) throw new NotRunError(`the address of ${named.name}()`)
  if (!address.isUnspecified && !address.equals(only)) throw new NotRunError(`sockets of the address ${address}`)
}
