// From a reply to what was asked for: the CNAME chain is followed (RFC 1034 §3.6.2), and only what belongs to it counts.

import { type DnsQuestion, type DnsRecord, type DnsReply, plain, RCODE_NXDOMAIN } from './wire.ts'

/** What became of a question. */
export interface Resolution {
  /** c-ares' code, `ENOTFOUND` and the like; null: there are records. */
  readonly code: string | null
  readonly records: readonly DnsRecord[]
  /** Seconds for which it holds; 0: it is not to be kept. */
  readonly ttl: number
}

/** The chain leads on, to a name that the reply does not speak of. */
export interface Onward {
  readonly name: string
  /** The least TTL of the chain so far. */
  readonly ttl: number
}

/** Aliases in one chain; BIND follows 16 as well. */
export const CHAIN_LIMIT = 16

export const failure = (code: string, ttl = 0): Resolution => ({ code, records: [], ttl })

/** RFC 1035 §4.1.1, as c-ares names them. */
const RCODES: Readonly<Record<number, string>> = { 1: 'EFORMERR', 2: 'ESERVFAIL', 4: 'ENOTIMP', 5: 'EREFUSED' }

/** Reads the answer to a question out of a reply. `seen` are the names of the chain so far, and grows. */
export function resolve(question: DnsQuestion, reply: DnsReply, seen: Set<string>): Resolution | Onward {
  const failed = RCODES[reply.rcode]
  if (failed !== undefined) return failure(failed)
  const { type } = question
  if (type === 'ANY') return found(reply.answers, reply) ?? negative(reply)
  let name = plain(question.name)
  let chainTtl = Number.POSITIVE_INFINITY
  for (;;) {
    const own = reply.answers.filter((record) => plain(record.name) === name)
    const wanted = own.filter((record) => record.type === type)
    if (wanted.length > 0) {
      const records = wanted.map((record) => ({ ...record, ttl: Math.min(record.ttl, chainTtl) }))
      return found(records, reply) ?? negative(reply)
    }
    const alias = own.find((record) => record.type === 'CNAME')
    if (alias === undefined) break
    chainTtl = Math.min(chainTtl, alias.ttl)
    name = plain(String(alias.data))
    if (seen.has(name) || seen.size > CHAIN_LIMIT) return failure('EBADRESP')
    seen.add(name)
  }
  if (reply.rcode === RCODE_NXDOMAIN || name === plain(question.name)) return negative(reply)
  return { name, ttl: chainTtl }
}

function found(records: readonly DnsRecord[], reply: DnsReply): Resolution | null {
  if (records.length === 0 || reply.rcode === RCODE_NXDOMAIN) return null
  return { code: null, records, ttl: Math.min(...records.map(({ ttl }) => ttl)) }
}

/** RFC 2308 §5: for as long as the zone's SOA says, and without one not at all. */
function negative(reply: DnsReply): Resolution {
  const soa = reply.authorities.find(({ type }) => type === 'SOA')
  const minimum = (soa?.data as { minimum?: number } | undefined)?.minimum ?? 0
  const ttl = soa === undefined ? 0 : Math.min(soa.ttl, minimum)
  return failure(reply.rcode === RCODE_NXDOMAIN ? 'ENOTFOUND' : 'ENODATA', ttl)
}
