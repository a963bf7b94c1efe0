// @grpc/grpc-js between two hosts of ours, by its hooks. What the client sees is what it sees on Node's own net.

import { beforeAll, describe, expect, it } from 'vitest'
import { askGrpc, OFFICE_NAME, serveGrpc } from '../programs/grpc.ts'
import type { Part, Trace } from '../programs/trace.ts'
import { type Certified, makeSelfSigned } from '../support/certificates.ts'
import { SERVER, withLinkedHosts } from '../support/linked-hosts.ts'
import type { AnyNet } from '../support/net-host.ts'

const ANSWERED = { right: true, data: true, trailer: [['seven'], [[0, 255]]] }
const PARTS: readonly Part[] = [
  { part: 'unary', title: 'makes 200 calls at once, one of a mebibyte, and reads trailers', seen: ANSWERED },
  { part: 'failing', title: 'is told the status of a call that fails', seen: { code: 5, details: 'no such ☃' } },
  { part: 'collect', title: 'streams 1,000 messages to the server', seen: 500_500 },
  {
    part: 'send',
    title: 'reads streams of the server, of many messages and of large ones',
    seen: { parcels: 4, letters: 1_000 },
  },
  { part: 'talk', title: 'talks to the server 100 times in one stream', seen: { number: 751, done: true } },
  {
    part: 'deadline',
    title: 'gives up at a deadline, of which the server hears',
    seen: { status: { code: 4 }, ended: true },
  },
  { part: 'cancel', title: 'cancels a call, of which the server hears', seen: { status: { code: 1 }, ended: true } },
  { part: 'tls', title: 'does so over TLS', seen: ANSWERED },
  {
    part: 'keepalive',
    title: 'keeps a silent call alive by pings, and ends it when they stay unanswered',
    seen: { status: { code: 14, details: 'Connection dropped' }, pings: true },
  },
  { part: 'refused', title: 'is refused where no server listens', seen: { code: 14 } },
]

async function run(host: string, tls: Certified, client?: AnyNet, server?: AnyNet): Promise<Trace> {
  const { port, securePort, close } = await serveGrpc({ host, ...tls }, server)
  const trace = await askGrpc({ host, port, securePort, cert: tls.cert }, client)
  close()
  return trace
}

const HOOK_MILLIS = 60_000

describe('a client and a server of @grpc/grpc-js on two hosts of ours', () => {
  let node: Trace = {}
  let ours: Trace = {}
  beforeAll(async () => {
    const tls = makeSelfSigned({ name: OFFICE_NAME })
    node = await run('127.0.0.1', tls)
    ours = await withLinkedHosts((client, server) => run(SERVER, tls, client, server))
  }, HOOK_MILLIS)
  it.each(PARTS)('$title', ({ part, seen }) => {
    expect({ part: node[part] }).toMatchObject({ part: seen })
    expect(ours[part]).toEqual(node[part])
  })
})
