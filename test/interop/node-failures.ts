// What node:net and node:dgram say where a network leads nowhere: Node's own when this file is run in a namespace, which
// prints it, and ours where node-failures.test.ts hands them over. 10.66.0.9 is nobody, 10.66.0.7 takes and never answers,
// and there is no route to 203.0.113.1.

import system from 'node:dgram'
import net from 'node:net'
import { type AnyNet, once, shapeOf } from '../support/net-host.ts'

export const NOBODY = '10.66.0.9'
export const SILENT = '10.66.0.7'
const ELSEWHERE = '203.0.113.1'
const SOME_PORT = 9

export async function failuresOf(ofNet: AnyNet, ofDgram: typeof system): Promise<unknown[]> {
  const connecting = [ELSEWHERE, NOBODY, SILENT].map(async (host) => {
    const socket = ofNet.connect({ port: SOME_PORT, host })
    const closed = once(socket, 'close')
    const [error] = await once(socket, 'error')
    return [host, shapeOf(error), await closed]
  })
  const listening = once(ofNet.createServer().listen(SOME_PORT, ELSEWHERE), 'error').then(([error]) => shapeOf(error))
  const socket = ofDgram.createSocket('udp4')
  const sending = new Promise((resolve) => {
    socket.send('x', SOME_PORT, ELSEWHERE, (error) => {
      socket.close()
      resolve(shapeOf(error))
    })
  })
  return Promise.all([...connecting, listening, sending])
}

if (process.argv[1]?.endsWith('node-failures.ts')) console.log(JSON.stringify(await failuresOf(net, system)))
