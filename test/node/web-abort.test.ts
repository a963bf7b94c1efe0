// HTTP that is broken off: by either side, at each phase of a request, in each way. What client, server and both sockets
// say of it, in its order, is what they say over Node's own net.

import http from 'node:http'
import { describe, expect, it } from 'vitest'
import { type AnySocket, closed, everywhere, follow, orError, type Place } from '../support/web-programs.ts'

type Phase = 'head' | 'request body' | 'response head' | 'response body' | 'upload refused'

interface Exchange {
  readonly phase: Phase
  readonly request: http.ClientRequest
  readonly clientSocket: AnySocket
  readonly incoming: http.IncomingMessage
  readonly outgoing: http.ServerResponse
  readonly serverSocket: AnySocket
  readonly abort: AbortController
}

const PHASES: readonly Phase[] = ['head', 'request body', 'response head', 'response body', 'upload refused']

const WAYS: Record<string, (exchange: Exchange) => unknown> = {
  'the client destroys its request': ({ request }) => request.destroy(),
  'the client destroys its request with an error': ({ request }) => request.destroy(new Error('enough')),
  'the client’s signal is aborted': ({ abort }) => abort.abort(),
  'the client destroys its socket': ({ clientSocket }) => clientSocket.destroy(),
  'the client resets its socket': ({ clientSocket }) => clientSocket.resetAndDestroy(),
  'the client half-closes its socket': ({ clientSocket }) => clientSocket.end(),
  'the server destroys the request': ({ incoming }) => incoming.destroy(),
  'the server destroys the response': ({ outgoing }) => outgoing.destroy(),
  'the server destroys the response with an error': ({ outgoing }) => outgoing.destroy(new Error('enough')),
  'the server destroys its socket': ({ serverSocket }) => serverSocket.destroy(),
  'the server resets its socket': ({ serverSocket }) => serverSocket.resetAndDestroy(),
  'the server half-closes its socket': ({ serverSocket }) => serverSocket.end(),
}

const MESSAGE = ['aborted', 'resume', 'end', 'error', 'close']
const SOCKET = ['end', 'finish', 'timeout', 'error', 'close']

/** Brings an exchange to its phase, breaks it off, and tells what everybody said until both sockets were closed. */
async function breakOff(place: Place, phase: Phase, way: (exchange: Exchange) => unknown): Promise<unknown> {
  const server = http.createServer()
  const clientErrors = follow(server, ['clientError'])
  server.on('clientError', (_error, socket) => socket.destroy())
  const port = await place.serve(server)
  const abort = new AbortController()
  const connected = place.connect(port)
  const agent = new http.Agent({ keepAlive: true })
  agent.createConnection = () => connected
  place.atEnd(() => agent.destroy())
  const headers = phase === 'head' ? {} : { 'content-length': 1_000 }
  const request = http.request({ agent, host: 'ours.test', method: 'POST', headers, signal: abort.signal })
  const told = {
    request: follow(request, ['finish', 'abort', 'response', 'error', 'close']),
    response: [] as string[],
    incoming: [] as string[],
    outgoing: [] as string[],
    clientSocket: follow(connected, SOCKET),
    serverSocket: [] as string[],
    clientErrors,
  }
  const requested = orError(server, 'request') as Promise<[http.IncomingMessage, http.ServerResponse]>
  server.on('connection', (socket: AnySocket) => {
    told.serverSocket = follow(socket, SOCKET)
  })
  if (phase === 'head') request.end()
  else request.flushHeaders()
  const [incoming, outgoing] = await requested
  told.incoming = follow(incoming, MESSAGE)
  told.outgoing = follow(outgoing, ['finish', 'error', 'close'])
  const serverSocket = incoming.socket
  const allClosed = Promise.all([closed(connected), closed(serverSocket)])
  const exchange = { phase, request, clientSocket: connected, incoming, outgoing, serverSocket, abort }
  if (phase === 'head') incoming.resume()
  await proceed(exchange, (response) => {
    told.response = follow(response, MESSAGE)
  })
  way(exchange)
  await allClosed
  await new Promise((resolve) => setImmediate(resolve))
  return told
}

/** From the request's head to the phase. */
async function proceed(exchange: Exchange, onResponse: (response: http.IncomingMessage) => void): Promise<void> {
  const { phase, request, incoming, outgoing } = exchange
  if (phase === 'head') return
  const read = orError(incoming, 'data')
  request.write('some')
  await read
  if (phase === 'request body') return
  const responded = orError(request, 'response') as Promise<[http.IncomingMessage]>
  if (phase === 'upload refused') outgoing.writeHead(413).end('too much')
  else {
    outgoing.writeHead(200, { 'content-length': 1_000 })
    outgoing.flushHeaders()
  }
  const [response] = await responded
  onResponse(response)
  if (phase === 'response head') return
  const data = orError(response, phase === 'upload refused' ? 'end' : 'data')
  if (phase === 'response body') outgoing.write('some')
  response.on('data', () => {})
  await data
}

describe('HTTP that is broken off', () => {
  for (const phase of PHASES) {
    // A response that has ended is not destroyed any more.
    const ways = Object.entries(WAYS).filter(([title]) => phase !== 'upload refused' || !/the response/.test(title))
    it.each(ways)(`in the phase '${phase}', when %s, is told as over Node’s net`, async (_title, way) => {
      const { node, ours } = await everywhere((place) => breakOff(place, phase, way))
      expect(ours).toEqual(node)
    })
  }
})
