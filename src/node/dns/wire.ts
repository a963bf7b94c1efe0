// Questions and replies of the DNS as bytes (RFC 1035, RFC 6891). What comes in is looked at before dns-packet decodes it:
// a reply that is none of ours costs next to nothing, and one that is malformed is an outcome, not an exception.

import dnsPacket from 'dns-packet'

export type RecordType = 'A' | 'AAAA' | 'ANY' | 'CAA' | 'CNAME' | 'MX' | 'NAPTR' | 'NS' | 'PTR' | 'SOA' | 'SRV' | 'TXT'

export interface DnsQuestion {
  /** ASCII, without the dot at its end. */
  readonly name: string
  readonly type: RecordType
}

/** A record as dns-packet decodes it; `data` depends on the type. */
export interface DnsRecord {
  readonly name: string
  readonly type: string
  readonly ttl: number
  readonly data: unknown
}

export interface DnsReply {
  readonly rcode: number
  readonly truncated: boolean
  readonly answers: readonly DnsRecord[]
  readonly authorities: readonly DnsRecord[]
}

/** RFC 1035 §4.1.1. */
export const RCODE_FORMERR = 1
export const RCODE_SERVFAIL = 2
export const RCODE_NXDOMAIN = 3
export const RCODE_NOTIMP = 4
export const RCODE_REFUSED = 5
/** Over UDP: fits any path without fragments, as the DNS Flag Day of 2020 has it. */
export const EDNS_PAYLOAD = 1_232
const HEADER = 12
const RESPONSE = 0x8000
const OPCODE = 0x7800
const TRUNCATED = 0x0200
const RCODE = 0x000f
/** What a reply may list: no name of use has more, and each record costs a decoding. */
const RECORD_LIMIT = 512
const LABEL_LIMIT = 63
const NAME_LIMIT = 253

/** Whether the name can be asked for: what host names are made of, and `_`, `/` and `*` as in SRV, reverse zones and wildcards. */
export function isAskable(name: string): boolean {
  if (name === '') return true
  if (name.length > NAME_LIMIT || !/^[A-Za-z0-9._/*-]+$/.test(name)) return false
  return name.split('.').every((label) => label.length > 0 && label.length <= LABEL_LIMIT)
}

/** With `edns`, longer replies over UDP are allowed. */
export function encodeQuestion(id: number, { name, type }: DnsQuestion, edns: boolean): Uint8Array {
  const opt = { type: 'OPT', name: '.', udpPayloadSize: EDNS_PAYLOAD, extendedRcode: 0, ednsVersion: 0, flags: 0 }
  return dnsPacket.encode({
    type: 'query',
    id,
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ name: name === '' ? '.' : name, type: type as dnsPacket.RecordType, class: 'IN' }],
    additionals: edns ? [{ ...opt, flag_do: false, options: [] } as dnsPacket.OptAnswer] : [],
  })
}

/** The reply in `bytes`; `mismatch`: it answers another question; `malformed`: it is none. */
export function readReply(bytes: Uint8Array, id: number, asked: DnsQuestion): DnsReply | 'mismatch' | 'malformed' {
  if (bytes.length < HEADER) return 'malformed'
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const flags = view.getUint16(2)
  if (view.getUint16(0) !== id || (flags & RESPONSE) === 0 || (flags & OPCODE) !== 0) return 'mismatch'
  const records = view.getUint16(6) + view.getUint16(8) + view.getUint16(10)
  // RFC 9619: a message has one question.
  if (view.getUint16(4) !== 1 || records > RECORD_LIMIT) return 'malformed'
  const rcode = flags & RCODE
  const truncated = (flags & TRUNCATED) !== 0
  if (!echoes(bytes, asked)) return 'mismatch'
  try {
    // What a truncated reply lists is not used: TCP will tell (RFC 2181 §9).
    if (truncated) return { rcode, truncated, answers: [], authorities: [] }
    const { answers, authorities } = dnsPacket.decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
    return { rcode, truncated, answers: recordsOf(answers), authorities: recordsOf(authorities) }
  } catch {
    // dns-packet throws for whatever it cannot read.
    return 'malformed'
  }
}

/** As tables are keyed: lower case, without the dot at the end. */
export const plain = (name: string): string => (name.endsWith('.') ? name.slice(0, -1) : name).toLowerCase()

/** Whether the question section is the one that was sent, letter case apart. Nothing stands before it that it could be compressed with. */
function echoes(bytes: Uint8Array, asked: DnsQuestion): boolean {
  const sent = encodeQuestion(0, asked, false)
  if (bytes.length < sent.length) return false
  for (let at = HEADER; at < sent.length; at++) if (lower(bytes[at]!) !== lower(sent[at]!)) return false
  return true
}

/** An upper-case letter as a lower-case one; no length of a label is as great. */
const lower = (byte: number): number => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte)

function recordsOf(answers: readonly dnsPacket.Answer[] | undefined): DnsRecord[] {
  return (answers ?? []).flatMap((answer) => {
    if (answer.type === 'OPT' || !('data' in answer) || ('class' in answer && answer.class !== 'IN')) return []
    // RFC 2181 §8: a TTL with its highest bit set is none.
    const ttl = 'ttl' in answer && answer.ttl !== undefined && answer.ttl < 0x8000_0000 ? answer.ttl : 0
    return [{ name: answer.name, type: answer.type, ttl, data: answer.data }]
  })
}
