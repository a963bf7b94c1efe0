// A program whose worker thread asks for the modules too: each thread has a host of its own.
import { once } from 'node:events'
import { isMainThread, Worker } from 'node:worker_threads'
import net from 'hourglass/net'

const server = net.createServer((socket) => socket.end(isMainThread ? 'the main thread' : 'a worker')).listen(7_000)
await once(server, 'listening')
const [text] = await once(net.connect(7_000), 'data')
server.close()
console.log(String(text))
if (isMainThread) new Worker(new URL(import.meta.url))
