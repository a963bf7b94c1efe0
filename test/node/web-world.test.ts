// Programs of the web on hosts of simulated worlds: networks that lose and delay, and a family of addresses that is dead.

import { createHash } from 'node:crypto'
import http from 'node:http'
import type { LookupFunction } from 'node:net'
import { type Duplex, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import tls from 'node:tls'
import { describe, expect, it } from 'vitest'
import { makeNet, type Net } from '../../src/node/net/net.ts'
import { settle } from '../../src/node/settle.ts'
import type { World } from '../../src/sim/world.ts'
import { millis, seconds } from '../../src/time.ts'
import { makeAuthority } from '../support/certificates.ts'
import { inWorld } from '../support/peer.ts'
import { digestOf, PseudoRandomBytes } from '../support/pseudo-random.ts'
import { answerOf, orError } from '../support/web-programs.ts'

const AUTHORITY = makeAuthority('Test Authority')
const SERVER = AUTHORITY.issue({ name: 'web.test' })
const BODY_BYTES = 400_000

interface Hosts {
  readonly client: Net
  readonly server: Net
}

/** A client and a server, 50 ms apart each way, on a path that loses `loss` of what either sends. */
function hosts(world: World, loss: number): Hosts {
  const cable = world.cable({ delay: millis(50) })
  const make = (name: string, end: typeof cable.a, number: number): Net => {
    const stack = world.host(name)
    world.attach(stack, end, {
      addresses: [`10.0.0.${number}/24`, `fd00::${number}/64`],
      faults: { outbound: { loss } },
    })
    return makeNet(stack)
  }
  return { client: make('client', cable.a, 1), server: make('server', cable.b, 2) }
}

/** Takes a body and gives its digest, and one of its own. */
function answer(request: http.IncomingMessage, response: http.ServerResponse): void {
  const hash = createHash('sha256')
  request.on('data', (chunk: Buffer) => hash.update(chunk))
  request.on('end', () => {
    response.setHeader('x-digest', hash.digest('hex'))
    Readable.from(new PseudoRandomBytes(2, BODY_BYTES), { objectMode: false }).pipe(response)
  })
}

/** Puts a body and reads the answer: the digests of both, as the other side has them. */
async function exchange(agent: http.Agent): Promise<{ put: unknown; got: string }> {
  const request = http.request({ agent, host: 'web.test', method: 'PUT' })
  const answered = orError(request, 'response') as Promise<[http.IncomingMessage]>
  const sent = pipeline(Readable.from(new PseudoRandomBytes(1, BODY_BYTES), { objectMode: false }), request)
  const [response] = await answered
  const hash = createHash('sha256')
  for await (const chunk of response) hash.update(chunk as Buffer)
  await sent
  return { put: response.headers['x-digest'], got: hash.digest('hex') }
}

describe('HTTP in a world', () => {
  it.each([
    ['http', false],
    ['https', true],
  ])(
    '%s where 5 packets of 100 are lost and each takes 50 ms: bodies arrive as they were sent, over a connection kept alive',
    (_name, secure) =>
      inWorld(
        11,
        async (world) => {
          const { client, server } = hosts(world, 0.05)
          const web = http.createServer(answer)
          const encrypted = tls.createServer(SERVER, (socket) => web.emit('connection', socket))
          let connections = 0
          const take = (socket: unknown): void => {
            connections++
            ;(secure ? encrypted : web).emit('connection', socket)
          }
          server.createServer({ allowHalfOpen: !secure }, take).listen(80)
          await world.run(world.sleep(seconds(2)))
          const agent = new http.Agent({ keepAlive: true })
          agent.createConnection = () => {
            const socket = client.connect(80, '10.0.0.2') as unknown as Duplex
            return secure ? tls.connect({ socket, servername: 'web.test', ca: AUTHORITY.cert }) : socket
          }
          const start = world.now
          const seen = [await world.run(exchange(agent)), await world.run(exchange(agent))]
          const whole = { put: digestOf(1, BODY_BYTES), got: digestOf(2, BODY_BYTES) }
          expect(seen).toEqual([whole, whole])
          expect(connections).toBe(1)
          // It is the network that is slow: a round trip takes a tenth of a second, and losses cost more.
          expect(world.now - start).toBeGreaterThan(seconds(1))
          agent.destroy()
        },
        { settle },
      ),
  )

  it('RFC 8305: where IPv6 is dead a request goes by IPv4 after 250 ms, and each one that follows by the same connection', () =>
    inWorld(
      12,
      async (world) => {
        const { client, server } = hosts(world, 0)
        const web = http.createServer((request, response) => response.end(request.socket.remoteAddress))
        server.createServer({ allowHalfOpen: true }, (socket) => web.emit('connection', socket)).listen(80, '0.0.0.0')
        await world.run(world.sleep(seconds(2)))
        // Nobody has fd00::9: neighbour discovery would take three seconds to say so.
        const lookup = ((_name: string, _options: object, done: (error: null, found: object[]) => void) => {
          const found = [
            { address: 'fd00::9', family: 6 },
            { address: '10.0.0.2', family: 4 },
          ]
          process.nextTick(done, null, found)
        }) as unknown as LookupFunction
        const agent = new http.Agent({ keepAlive: true })
        const tried: unknown[] = []
        agent.createConnection = () => {
          const socket = client.connect({ host: 'web.test', port: 80, lookup })
          socket.on('connect', () => tried.push(socket.autoSelectFamilyAttemptedAddresses))
          return socket as unknown as Duplex
        }
        const ask = (): Promise<string> => answerOf(http.get({ agent, host: 'web.test' })).then(({ text }) => text)
        const start = world.now
        const first = await world.run(ask())
        const took = world.now - start
        const second = await world.run(ask())
        expect([first, second]).toEqual(['10.0.0.1', '10.0.0.1'])
        expect(tried).toEqual([['fd00::9:80', '10.0.0.2:80']])
        // Then ARP, the handshake, and the request: three round trips.
        expect(took).toBe(millis(250) + 6 * millis(50))
        agent.destroy()
      },
      { settle },
    ))
})
