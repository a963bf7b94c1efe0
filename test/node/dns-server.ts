// A small name server for tests, over whatever dgram it is given: it knows a few names by heart, and misbehaves for others.

import type dgramModule from 'node:dgram'
import { once } from 'node:events'
import dnsPacket from 'dns-packet'

export type Dgram = typeof dgramModule
type Answer = dnsPacket.Answer

/** Every type that node:dns asks for, as of any name that has no other meaning. */
const DATA: readonly (readonly [string, readonly unknown[]])[] = [
  ['A', ['192.0.2.1', '192.0.2.2']],
  ['AAAA', ['2001:db8::1', '2001:db8::2']],
  [
    'MX',
    [
      { preference: 10, exchange: 'mx.test' },
      { preference: 0, exchange: '.' },
    ],
  ],
  ['NS', ['ns1.test', 'ns2.test']],
  ['TXT', [['ab', 'cd'], 'xx']],
  ['SRV', [{ priority: 1, weight: 2, port: 3, target: 't.test' }]],
  ['PTR', ['p.test', 'q.test']],
  ['NAPTR', [{ order: 1, preference: 2, flags: 's', services: 'SIP', regexp: '!a!b!', replacement: 'r.test' }]],
  ['SOA', [{ mname: 'm.test', rname: 'root\\.of.test', serial: 1, refresh: 2, retry: 3, expire: 4, minimum: 5 }]],
  [
    'CAA',
    [
      { flags: 128, tag: 'issue', value: 'ca.test' },
      { flags: 0, tag: 'iodef', value: 'mailto:x@test' },
    ],
  ],
]
const RCODES: Readonly<Record<string, number>> = { form: 1, serv: 2, nx: 3, notimp: 4, ref: 5 }

/** The answer that a question deserves; null: none at all. */
export function answerTo(bytes: Uint8Array): Uint8Array | null {
  const query = dnsPacket.decode(Buffer.from(bytes))
  const { name, type } = query.questions![0]!
  const [first = ''] = name.toLowerCase().split('.')
  if (first === 'drop') return null
  return dnsPacket.encode({
    type: 'response',
    id: query.id!,
    flags: dnsPacket.RECURSION_AVAILABLE | dnsPacket.RECURSION_DESIRED | (RCODES[first] ?? 0),
    questions: query.questions!,
    answers: recordsOf(name, first, type),
  })
}

function recordsOf(name: string, first: string, type: string): Answer[] {
  const record = (of: string, kind: string, data: unknown, ttl = 60): Answer =>
    ({ type: kind, name: of, data, ttl }) as Answer
  if (first in RCODES || first === 'nodata') return []
  if (first === 'alias' && type === 'CNAME') return [record(name, 'CNAME', 'real.test')]
  if (first === 'alias')
    return [
      record(name, 'CNAME', 'middle.test', 9),
      record('middle.test', 'CNAME', 'real.test', 90),
      ...recordsOf('real.test', 'real', type),
    ]
  return DATA.filter(([kind]) => kind === type || type === 'ANY').flatMap(([kind, all]) =>
    all.map((data) => record(name, kind, data)),
  )
}

/** Answers on 127.0.0.1 until closed. */
export async function startServer(dgram: Dgram): Promise<{ text: string; asked: number; close: () => Promise<void> }> {
  const socket = dgram.createSocket('udp4')
  const server = {
    text: '',
    asked: 0,
    close: async () => {
      await once(socket.close(), 'close')
    },
  }
  socket.on('message', (bytes, from) => {
    server.asked++
    const answer = answerTo(bytes)
    if (answer !== null) socket.send(answer, from.port, from.address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  server.text = `127.0.0.1:${socket.address().port}`
  return server
}
