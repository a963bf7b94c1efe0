// Records in the shapes that node:dns gives them.

import type { DnsRecord, RecordType } from './wire.ts'

/** What resolve*() of that type gives: an array, or for SOA one object. */
export function shapeRecords(type: RecordType, records: readonly DnsRecord[]): unknown {
  if (type === 'ANY') return shapeAny(records)
  const shaped = records.map((record) => shape(record))
  return type === 'SOA' ? shaped[0] : shaped
}

/** The order in which c-ares goes through an answer to ANY. */
const ANY_ORDER: readonly string[] = ['A', 'CNAME', 'AAAA', 'MX', 'NS', 'TXT', 'SRV', 'PTR', 'NAPTR', 'SOA', 'CAA']

function shapeAny(records: readonly DnsRecord[]): unknown[] {
  return ANY_ORDER.flatMap((type) => records.filter((record) => record.type === type)).map((record) => {
    const { type, ttl } = record
    const shaped = shape(record)
    if (type === 'A' || type === 'AAAA') return { address: shaped, ttl, type }
    if (type === 'TXT') return { entries: shaped, type }
    return typeof shaped === 'string' ? { value: shaped, type } : { ...(shaped as object), type }
  })
}

/** What dns-packet made of the record's data. */
interface Data {
  readonly preference: number
  readonly exchange: string
  readonly priority: number
  readonly weight: number
  readonly port: number
  readonly target: string
  readonly flags: number | string
  readonly services: string
  readonly regexp: string
  readonly replacement: string
  readonly order: number
  readonly mname: string
  readonly rname: string
  readonly serial: number
  readonly refresh: number
  readonly retry: number
  readonly expire: number
  readonly minimum: number
  readonly tag: string
  readonly value: string
}

function shape(record: DnsRecord): unknown {
  const data = record.data as Data
  switch (record.type) {
    case 'MX':
      return { exchange: nameOf(data.exchange), priority: data.preference }
    case 'SRV':
      return { name: nameOf(data.target), port: data.port, priority: data.priority, weight: data.weight }
    case 'TXT':
      return textOf(record.data)
    case 'NAPTR': {
      const { flags, services: service, regexp, order, preference } = data
      return { flags, service, regexp, replacement: nameOf(data.replacement), order, preference }
    }
    case 'SOA': {
      const { serial, refresh, retry, expire, minimum: minttl } = data
      return { nsname: nameOf(data.mname), hostmaster: nameOf(data.rname), serial, refresh, retry, expire, minttl }
    }
    case 'CAA':
      return { critical: data.flags, [data.tag]: data.value }
    case 'A':
    case 'AAAA':
      return record.data
    default:
      return nameOf(String(record.data))
  }
}

/** The root is '' to c-ares. */
const nameOf = (name: string): string => (name === '.' ? '' : name)

/** The strings of a TXT record; bytes are characters, as in Node. */
function textOf(data: unknown): string[] {
  const parts: unknown[] = Array.isArray(data) ? data : [data]
  return parts.map((part) => (part instanceof Uint8Array ? Buffer.from(part).toString('latin1') : String(part)))
}
