// Programs of MQTT: a broker of aedes and clients of mqtt. On Node's net as they are. On a net of ours the broker takes its
// connections by broker.handle, as from any net; clients open theirs by the stream builder of MqttClient.

import { once } from 'node:events'
import system, { type AddressInfo } from 'node:net'
import { Aedes } from 'aedes'
import mqtt, { type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt'
import type { AnyNet, AnySocket } from '../support/net-host.ts'
import { PseudoRandomBytes } from '../support/pseudo-random.ts'
import { failureOf, next, sha256, type Trace, traceOf } from './trace.ts'

export interface MqttPlace {
  readonly host: string
  readonly port: number
}

export interface MqttServer {
  readonly port: number
  close(): void
}

const MESSAGES = 300
const BIG_BYTES = 4 * 1_024 * 1_024

export async function serveMqtt({ host }: { host: string }, net?: AnyNet): Promise<MqttServer> {
  const broker = await Aedes.createBroker()
  const server = (net ?? system).createServer((socket) => void broker.handle(socket)).listen(0, host)
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      broker.close()
      server.close()
    },
  }
}

type Open = (more?: IClientOptions) => MqttClient

export function askMqtt(place: MqttPlace, net?: AnyNet): Promise<Trace> {
  const open: Open = (more = {}) => {
    const options: IClientOptions = { ...place, reconnectPeriod: 0, ...more }
    if (net === undefined) return mqtt.connect(options)
    return new mqtt.MqttClient(() => net.connect(options.port!, options.host!), options)
  }
  return traceOf({
    qos0: () => messages(open, 0),
    qos1: () => messages(open, 1),
    qos2: () => messages(open, 2),
    retained: () => retained(open),
    big: () => big(open),
    destroyed: () => will(open, 'gone', (socket) => socket.destroy()),
    reset: () => will(open, 'reset', (socket) => socket.resetAndDestroy()),
    goodbye: () => goodbye(open),
    session: () => session(open),
    reconnects: () => reconnects(open),
    keepalive: () => keepalive(open),
    refused: () => refused(open),
  })
}

async function connected(open: Open, more: IClientOptions = {}): Promise<MqttClient> {
  const client = open(more)
  await next(client, 'connect')
  return client
}

/** With a client that says goodbye after it. */
async function using<T>(open: Open, body: (client: MqttClient) => Promise<T>): Promise<T> {
  const client = await connected(open)
  try {
    return await body(client)
  } finally {
    await client.endAsync()
  }
}

/** Collects `count` messages; they are all there when it resolves. */
function collect(client: MqttClient, count: number): Promise<IPublishPacket[]> {
  const packets: IPublishPacket[] = []
  return new Promise((resolve) => {
    client.on('message', (_topic, _payload, packet) => {
      if (packets.push(packet) === count) resolve(packets)
    })
  })
}

async function messages(open: Open, qos: 0 | 1 | 2): Promise<unknown> {
  return using(open, (speaker) =>
    using(open, async (listener) => {
      const granted = await listener.subscribeAsync(`news/${qos}/+`, { qos })
      const heard = collect(listener, MESSAGES)
      const sent = Array.from({ length: MESSAGES }, (_, n) => speaker.publishAsync(`news/${qos}/x`, `${n}`, { qos }))
      await Promise.all(sent)
      const packets = await heard
      return {
        granted: granted.map(({ qos: given }) => given),
        inOrder: packets.every(({ payload }, n) => String(payload) === `${n}`),
        qos: [...new Set(packets.map((packet) => packet.qos))],
      }
    }),
  )
}

async function retained(open: Open): Promise<unknown> {
  return using(open, async (speaker) => {
    await speaker.publishAsync('kept', 'still here', { retain: true, qos: 1 })
    const seen = await using(open, async (listener) => {
      const heard = collect(listener, 1)
      await listener.subscribeAsync('kept')
      return (await heard).map(({ payload, retain }) => [String(payload), retain])
    })
    await speaker.publishAsync('kept', '', { retain: true, qos: 1 })
    return seen
  })
}

async function big(open: Open): Promise<unknown> {
  return using(open, async (client) => {
    const sent = Buffer.concat([...new PseudoRandomBytes(8, BIG_BYTES)])
    await client.subscribeAsync('big', { qos: 1 })
    const heard = collect(client, 1)
    await client.publishAsync('big', sent, { qos: 1 })
    return sha256((await heard)[0]!.payload) === sha256(sent)
  })
}

/** What the broker says for a client that ends abruptly. */
async function will(open: Open, name: string, abandon: (socket: AnySocket) => void): Promise<unknown> {
  return using(open, async (watcher) => {
    await watcher.subscribeAsync(`will/${name}`)
    const heard = collect(watcher, 1)
    const client = await connected(open, {
      will: { topic: `will/${name}`, payload: Buffer.from('no more'), qos: 1, retain: false },
    })
    const closed = next(client, 'close')
    abandon(client.stream as unknown as AnySocket)
    await closed
    return (await heard).map(({ topic, payload }) => [topic, String(payload)])
  })
}

/** No will of a client that says goodbye: what is published thereafter comes first. */
async function goodbye(open: Open): Promise<unknown> {
  return using(open, async (watcher) => {
    await watcher.subscribeAsync(['will/none', 'after'])
    const heard = collect(watcher, 1)
    const client = await connected(open, {
      will: { topic: 'will/none', payload: Buffer.from('x'), qos: 0, retain: false },
    })
    await client.endAsync()
    await watcher.publishAsync('after', 'all is well', { qos: 1 })
    return (await heard).map(({ topic }) => topic)
  })
}

/** What is published while a client is away waits for it. */
async function session(open: Open): Promise<unknown> {
  const own: IClientOptions = { clientId: 'sleeper', clean: false }
  const first = await connected(open, own)
  await first.subscribeAsync('mail', { qos: 1 })
  await first.endAsync()
  await using(open, (speaker) => speaker.publishAsync('mail', 'while you were out', { qos: 1 }))
  const again = open(own)
  const heard = collect(again, 1)
  const [{ sessionPresent }] = (await next(again, 'connect')) as [{ sessionPresent: boolean }]
  const seen = (await heard).map(({ payload }) => String(payload))
  await again.endAsync()
  return { sessionPresent, seen }
}

/** Its connection breaks; it comes back, sends what it was given meanwhile, and has subscribed again. */
async function reconnects(open: Open): Promise<unknown> {
  return using(open, async (watcher) => {
    await watcher.subscribeAsync('queued', { qos: 1 })
    const queued = collect(watcher, 1)
    const client = await connected(open, { reconnectPeriod: 10 })
    const events: string[] = []
    for (const name of ['close', 'reconnect', 'connect'] as const) client.on(name, () => events.push(name))
    await client.subscribeAsync('mine', { qos: 1 })
    client.stream.destroy()
    await next(client, 'close')
    const back = next(client, 'connect')
    await client.publishAsync('queued', 'said in between', { qos: 1 })
    await back
    const mine = collect(client, 1)
    await client.publishAsync('mine', 'to myself', { qos: 1 })
    const seen = [...(await queued), ...(await mine)].map(({ payload }) => String(payload))
    const happened = [...events]
    await client.endAsync()
    return { events: happened, seen }
  })
}

async function keepalive(open: Open): Promise<unknown> {
  const client = await connected(open, { keepalive: 1 })
  const answered = new Promise<string>((resolve) => {
    client.on('packetreceive', ({ cmd }) => {
      if (cmd === 'pingresp') resolve(cmd)
    })
  })
  const seen = await answered
  await client.endAsync()
  return seen
}

async function refused(open: Open): Promise<unknown> {
  const client = open({ port: 1 })
  const events: unknown[] = []
  client.on('error', (error) => events.push(failureOf(error)))
  await next(client, 'close')
  await client.endAsync()
  return events
}
