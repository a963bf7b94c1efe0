// A stub resolver (RFC 1034 §5.3.1) for one host: asks its servers in turn with growing patience, follows aliases, keeps
// what it learned, and asks once where several want to know the same. Names are taken as they are: there is no search
// list and no ndots.

import type { IpAddress } from '../../wire/address.ts'
import type { Hold } from '../keep-alive.ts'
import type { NodeHost } from '../node-host.ts'
import { DnsCache } from './cache.ts'
import { type DnsCounters, type DnsServer, Exchange } from './exchange.ts'
import { failure, type Resolution, resolve } from './resolution.ts'
import {
  type DnsQuestion,
  type DnsReply,
  isAskable,
  plain,
  RCODE_FORMERR,
  RCODE_NOTIMP,
  RCODE_REFUSED,
  RCODE_SERVFAIL,
} from './wire.ts'

/** c-ares' own. */
const DEFAULT_TIMEOUT_MILLIS = 2_000
const DEFAULT_TRIES = 4
/** Patience doubles with each round through the servers, up to this. */
const TIMEOUT_LIMIT_MILLIS = 30_000
/** Questions under way. */
const PENDING_LIMIT = 1_024
/** Who wait for the same answer. */
const WAITER_LIMIT = 4_096
const FAILED_RCODES: readonly number[] = [RCODE_FORMERR, RCODE_SERVFAIL, RCODE_NOTIMP, RCODE_REFUSED]

type Done = (resolution: Resolution) => void

export interface ResolverOptions {
  /** Of the first round. -1 or absent: 2,000. */
  readonly timeoutMillis?: number
  /** Rounds through the servers. Default 4. */
  readonly tries?: number
}

export class StubResolver {
  servers: readonly DnsServer[] = []
  local4: IpAddress | null = null
  local6: IpAddress | null = null
  readonly counters: DnsCounters = {
    questions: 0,
    replies: 0,
    mismatched: 0,
    malformed: 0,
    truncated: 0,
    timeouts: 0,
    unreachable: 0,
    cached: 0,
    coalesced: 0,
  }
  readonly host: NodeHost
  readonly timeoutMillis: number
  readonly tries: number
  private readonly cache: DnsCache
  private readonly pending = new Map<string, Search>()

  constructor(host: NodeHost, options: ResolverOptions = {}) {
    const timeout = options.timeoutMillis ?? -1
    this.host = host
    this.timeoutMillis = timeout < 0 ? DEFAULT_TIMEOUT_MILLIS : timeout
    this.tries = options.tries ?? DEFAULT_TRIES
    this.cache = new DnsCache(host)
  }

  /** Whether there are questions that nobody has answered yet. */
  get isAsking(): boolean {
    return this.pending.size > 0
  }

  /** What others said is not what these will say. */
  setServers(servers: readonly DnsServer[]): void {
    this.servers = servers
    this.cache.clear()
  }

  /** Calls back once, from the event loop and never from within; the name is ASCII. */
  ask(question: DnsQuestion, done: Done): void {
    const name = plain(question.name)
    const { type } = question
    const key = `${type} ${name}`
    const known = isAskable(name) ? this.cache.get(key) : failure('EBADNAME')
    if (known !== null) {
      if (known.code !== 'EBADNAME') this.counters.cached++
      setImmediate(done, known)
      return
    }
    const pending = this.pending.get(key)
    if (pending !== undefined && pending.waiters.length < WAITER_LIMIT) {
      this.counters.coalesced++
      pending.waiters.push(done)
      return
    }
    const refused = this.servers.length === 0 ? 'ECONNREFUSED' : this.pending.size >= PENDING_LIMIT ? 'ENOMEM' : null
    if (refused !== null || pending !== undefined) {
      setImmediate(done, failure(refused ?? 'ENOMEM'))
      return
    }
    const search = new Search(this, { name, type }, (resolution) => {
      this.pending.delete(key)
      if (resolution.code !== 'ECANCELLED') this.cache.put(key, resolution)
    })
    search.waiters.push(done)
    this.pending.set(key, search)
  }

  /** Whoever waits is told ECANCELLED. */
  cancel(): void {
    for (const search of [...this.pending.values()]) search.end(failure('ECANCELLED'))
  }
}

/** One question until its end: tries, servers, aliases. */
class Search {
  readonly waiters: Done[] = []
  private readonly resolver: StubResolver
  private readonly servers: readonly DnsServer[]
  private readonly onEnd: (resolution: Resolution) => void
  private readonly hold: Hold
  private readonly seen: Set<string>
  /** Servers that would not say: they are not asked again about this name. */
  private readonly failed = new Set<DnsServer>()
  /** Servers that do not know EDNS (RFC 6891 §7). */
  private readonly plainServers = new Set<DnsServer>()
  private question: DnsQuestion
  private chainTtl = Number.POSITIVE_INFINITY
  private attempt = 0
  private failure = 'ETIMEOUT'
  private exchange: Exchange | null = null
  private ended = false

  constructor(resolver: StubResolver, question: DnsQuestion, onEnd: (resolution: Resolution) => void) {
    this.resolver = resolver
    this.servers = resolver.servers
    this.question = question
    this.onEnd = onEnd
    this.hold = resolver.host.keepAlive.hold()
    this.seen = new Set([question.name])
    this.next()
  }

  end(resolution: Resolution): void {
    if (this.ended) return
    this.ended = true
    this.exchange?.cancel()
    this.onEnd(resolution)
    setImmediate(() => this.hold.release())
    for (const done of this.waiters) setImmediate(done, resolution)
  }

  /** The next server, or the next round. */
  private next(): void {
    const { servers } = this
    const attempts = servers.length * this.resolver.tries
    if (this.failed.size === servers.length) return this.end(failure(this.failure))
    while (this.failed.has(servers[this.attempt % servers.length]!)) this.attempt++
    if (this.attempt >= attempts) return this.end(failure(this.failure))
    const server = servers[this.attempt % servers.length]!
    const round = Math.floor(this.attempt / servers.length)
    this.attempt++
    this.askServer(server, Math.min(this.resolver.timeoutMillis * 2 ** round, TIMEOUT_LIMIT_MILLIS))
  }

  private askServer(server: DnsServer, timeoutMillis: number): void {
    const { host, local4, local6, counters } = this.resolver
    const edns = !this.plainServers.has(server)
    this.exchange = new Exchange({
      host,
      server,
      local: server.address.family === 4 ? local4 : local6,
      question: this.question,
      edns,
      timeoutMillis,
      counters,
      done: (outcome) => {
        if (outcome === 'timeout') this.goOn('ETIMEOUT')
        else if (outcome === 'unreachable') this.goOn('ECONNREFUSED')
        else if (edns && (outcome.rcode === RCODE_FORMERR || outcome.rcode === RCODE_NOTIMP)) {
          this.plainServers.add(server)
          this.askServer(server, timeoutMillis)
        } else this.read(server, outcome)
      },
    })
  }

  private goOn(code: string): void {
    this.failure = code
    this.next()
  }

  private read(server: DnsServer, reply: DnsReply): void {
    const result = resolve(this.question, reply, this.seen)
    if (FAILED_RCODES.includes(reply.rcode) && 'code' in result) {
      this.failed.add(server)
      return this.goOn(result.code!)
    }
    if ('code' in result) return this.end(this.within(result))
    this.chainTtl = Math.min(this.chainTtl, result.ttl)
    if (!isAskable(result.name)) return this.end(failure('EBADRESP'))
    this.question = { name: result.name, type: this.question.type }
    this.attempt = 0
    this.failed.clear()
    this.next()
  }

  /** Nothing holds longer than the aliases that led to it. */
  private within(resolution: Resolution): Resolution {
    const { chainTtl } = this
    const records = resolution.records.map((record) => ({ ...record, ttl: Math.min(record.ttl, chainTtl) }))
    return { ...resolution, records, ttl: Math.min(resolution.ttl, chainTtl) }
  }
}
