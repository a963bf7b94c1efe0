// A client of node:net that reconnects, and its test: the cable is cut for a minute, which takes no time. Run it with
// `npx tsx examples/reconnect.ts`, or under `node --test`.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import type nodeNet from 'node:net'
import test from 'node:test'
import { millis, seconds, World } from 'hourglass'
import { makeNet, settle } from 'hourglass/node'

/** What the client needs of its surroundings: in production node:net and a promise of setTimeout. */
interface Surroundings {
  net: Pick<typeof nodeNet, 'connect'>
  sleep(milliseconds: number): Promise<void>
}

/** Fetches `bytes` in pieces, from where it was, and connects again after each failure. Tells the failures' codes. */
async function fetchAll({ net, sleep }: Surroundings, host: string, bytes: number): Promise<string[]> {
  const failures: string[] = []
  for (let have = 0; have < bytes; ) {
    const socket = net.connect({ host, port: 80 })
    socket.setTimeout(5_000, () => socket.destroy(Object.assign(new Error('silent'), { code: 'SILENT' })))
    socket.on('data', (piece) => {
      have += piece.length
      if (have < bytes) socket.write('more')
      else socket.end()
    })
    socket.write('more')
    try {
      await once(socket, 'close')
    } catch (error) {
      failures.push(String((error as NodeJS.ErrnoException).code))
      await sleep(1_000)
    }
  }
  return failures
}

test('the client has everything after a partition of a minute', async (context) => {
  const world = new World({ seed: 1, settle })
  context.after(() => world.close())
  const [client, server, cable] = [world.host('client'), world.host('server'), world.cable({ delay: millis(10) })]
  world.attach(client, cable.a, { addresses: ['10.0.0.1/24'] })
  world.attach(server, cable.b, { addresses: ['10.0.0.2/24'] })
  makeNet(server)
    .createServer((socket) => {
      socket.on('data', () => socket.write(Buffer.alloc(1_000)))
      // Those that the partition broke.
      socket.on('error', () => {})
    })
    .listen(80)

  const surroundings: Surroundings = { net: makeNet(client), sleep: (length) => world.sleep(millis(length)) }
  const fetching = fetchAll(surroundings, '10.0.0.2', 100_000)
  await world.run(world.sleep(seconds(1)))
  cable.cut()
  await world.run(world.sleep(seconds(60)))
  cable.mend()
  const failures = await world.run(fetching)

  assert.equal(failures[0], 'SILENT')
  assert.ok(world.now > seconds(60) && world.now < seconds(70))
})
