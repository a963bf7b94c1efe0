// Names without a resolver: literal addresses, and localhost. What a host uses that has no dns.

import type { LookupFunction } from 'node:net'
import { isIP } from 'node:net'
import { dnsError, errnoOf } from '../node-errors.ts'

interface Found {
  address: string
  family: number
}

/** As RFC 6724 orders them. */
const LOCALHOST: readonly Found[] = [
  { address: '::1', family: 6 },
  { address: '127.0.0.1', family: 4 },
]

/** In the shape of dns.lookup, for `socket.connect` and `server.listen`. */
export const lookupLocally: LookupFunction = (hostname, options, callback) => {
  const found = find(hostname, Number(options.family ?? 0))
  const [first] = found
  process.nextTick(() => {
    if (first === undefined)
      callback(dnsError('ENOTFOUND', 'getaddrinfo', hostname, errnoOf('ENOTFOUND')), options.all ? [] : '')
    else if (options.all) callback(null, [...found])
    else callback(null, first.address, first.family)
  })
}

function find(hostname: string, family: number): readonly Found[] {
  const literal = isIP(hostname)
  if (literal !== 0) return [{ address: hostname, family: literal }]
  // RFC 6761 §6.3: localhost and the names below it are this host.
  if (!/^(?:.+\.)?localhost\.?$/i.test(hostname)) return []
  return LOCALHOST.filter((one) => family === 0 || one.family === family)
}
