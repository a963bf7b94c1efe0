// Clients of mqtt and a broker of aedes on two hosts of ours, by their hooks. What clients see is what they see on Node's own
// net.

import { beforeAll, describe, expect, it } from 'vitest'
import { askMqtt, serveMqtt } from '../programs/mqtt.ts'
import type { Part, Trace } from '../programs/trace.ts'
import { SERVER, withLinkedHosts } from '../support/linked-hosts.ts'
import type { AnyNet } from '../support/net-host.ts'

const REFUSED = { code: 'ECONNREFUSED', errno: -111, syscall: 'connect', message: 'connect ECONNREFUSED ADDRESS' }
const ofQos = (qos: number): unknown => ({ granted: [qos], inOrder: true, qos: [qos] })
const PARTS: readonly Part[] = [
  { part: 'qos0', title: 'publish 300 messages of QoS 0, which arrive in order', seen: ofQos(0) },
  { part: 'qos1', title: 'publish 300 messages of QoS 1, which arrive in order', seen: ofQos(1) },
  { part: 'qos2', title: 'publish 300 messages of QoS 2, which arrive once each, in order', seen: ofQos(2) },
  { part: 'retained', title: 'are told of a message that was retained', seen: [['still here', true]] },
  { part: 'big', title: 'publish a message of 4 MiB', seen: true },
  { part: 'destroyed', title: 'leave a will when they go abruptly', seen: [['will/gone', 'no more']] },
  { part: 'reset', title: 'leave a will when they reset their connection', seen: [['will/reset', 'no more']] },
  { part: 'goodbye', title: 'leave no will when they say goodbye', seen: ['after'] },
  {
    part: 'session',
    title: 'come back to a session, with what was published meanwhile',
    seen: { sessionPresent: true, seen: ['while you were out'] },
  },
  {
    part: 'reconnects',
    title: 'connect anew when the connection breaks, and send what waited',
    seen: { events: ['close', 'reconnect', 'connect'], seen: ['said in between', 'to myself'] },
  },
  { part: 'keepalive', title: 'ping the broker in silence, and are answered', seen: 'pingresp' },
  { part: 'refused', title: 'are refused where no broker listens', seen: [REFUSED] },
]

async function run(host: string, client?: AnyNet, server?: AnyNet): Promise<Trace> {
  const { port, close } = await serveMqtt({ host }, server)
  const trace = await askMqtt({ host, port }, client)
  close()
  return trace
}

const HOOK_MILLIS = 60_000

describe('clients of mqtt and a broker of aedes on two hosts of ours', () => {
  let node: Trace = {}
  let ours: Trace = {}
  beforeAll(async () => {
    const [theirs, own] = await Promise.all([
      run('127.0.0.1'),
      withLinkedHosts((client, server) => run(SERVER, client, server)),
    ])
    node = theirs
    ours = own
  }, HOOK_MILLIS)
  it.each(PARTS)('$title', ({ part, seen }) => {
    expect({ part: node[part] }).toMatchObject({ part: seen })
    expect(ours[part]).toEqual(node[part])
  })
})
