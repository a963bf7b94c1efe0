// What a packet script says, once it is parsed: parser.ts, packet-parser.ts and call-parser.ts make it, runner.ts
// follows it. Times are in microseconds, sequence numbers as the script writes them.

import type { Micros } from '../time.ts'
import type { IpAddress } from '../wire/address.ts'

export interface Script {
  readonly file: string
  readonly options: ReadonlyMap<string, string>
  /** Shell command before time 0, and after the end; null: none. */
  readonly before: Shell | null
  readonly after: Shell | null
  readonly events: readonly Event[]
}

export interface Shell {
  readonly command: string
  readonly line: number
}

/** When something happens: from `from` to `to`, counted from the start of the script or from the event before. */
export interface When {
  readonly kind: 'absolute' | 'relative' | 'any'
  readonly from: Micros
  readonly to: Micros
}

export interface Event {
  readonly line: number
  readonly when: When
  readonly action: Action
}

export type Action =
  | { readonly kind: 'packet'; readonly packet: ScriptPacket }
  | { readonly kind: 'call'; readonly call: Call }
  | { readonly kind: 'shell'; readonly command: string }
  | { readonly kind: 'code'; readonly code: string }

export interface Ports {
  readonly source: number
  readonly destination: number
}

/** What is said of the IP header; undefined: nothing. */
export interface IpInfo {
  readonly ecn?: 0 | 1 | 2 | 3 | 'ect01'
  readonly tos?: number
  readonly ttl?: number
  readonly flowLabel?: number
}

export interface ScriptPacket {
  readonly line: number
  /** It comes from the script, to the stack. */
  readonly inbound: boolean
  /** As the script has it, for messages. */
  readonly text: string
  readonly ip: IpInfo
  readonly body: TcpBody | UdpBody | IcmpBody
}

export interface TcpBody {
  readonly kind: 'tcp'
  readonly ports: Ports | null
  readonly flags: number
  readonly seq: number
  /** `!`: seq is the number on the wire. */
  readonly absolute: boolean
  /** `...(len)`: seq is not compared. */
  readonly anySeq: boolean
  readonly length: number
  readonly ack: number | null
  readonly window: number | null
  readonly urgent: number | null
  /** 'any': `<...>`. */
  readonly options: readonly ScriptOption[] | 'any'
}

export interface UdpBody {
  readonly kind: 'udp'
  readonly ports: Ports | null
  readonly length: number
}

export interface IcmpBody {
  readonly kind: 'icmp'
  readonly type: string
  readonly code: string | null
  readonly mtu: number | null
  readonly id: number | null
  /** What is quoted. */
  readonly quote:
    | { readonly kind: 'tcp'; readonly seq: number; readonly length: number | null }
    | { readonly kind: 'udp' | 'raw'; readonly length: number }
    | null
}

export type ScriptOption =
  | { readonly kind: 'nop' | 'eol' | 'sackOK' }
  | { readonly kind: 'mss' | 'wscale'; readonly value: number }
  | { readonly kind: 'sack'; readonly blocks: readonly (readonly [left: number, right: number])[] }
  | { readonly kind: 'TS'; readonly value: number; readonly echo: number; readonly absolute: boolean }
  | { readonly kind: 'bytes'; readonly text: string; readonly bytes: readonly number[] }

export interface Call {
  readonly line: number
  readonly name: string
  readonly args: readonly Expression[]
  /** Blocking: when it is to return; null: at once. */
  readonly end: When | null
  readonly result: Expression
  /** The name of the errno; null: none. */
  readonly errno: string | null
}

export type Expression =
  | { readonly kind: 'ellipsis' }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'word'; readonly name: string }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'or'; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'list'; readonly items: readonly Expression[] }
  | { readonly kind: 'record'; readonly fields: ReadonlyMap<string, Expression>; readonly items: readonly Expression[] }
  | { readonly kind: 'function'; readonly name: string; readonly args: readonly Expression[] }
  | { readonly kind: 'address'; readonly address: IpAddress }

/** A part of the language that this interpreter does not run: the script is not run, and the reason is told. */
export class NotRunError extends Error {
  override readonly name = 'NotRunError'
}
