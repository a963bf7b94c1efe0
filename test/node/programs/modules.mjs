// A program that names the modules of the process's host itself: what it sees, as JSON.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import dgram, * as dgramNames from 'hourglass/dgram'
import dns, * as dnsNames from 'hourglass/dns'
import net, * as netNames from 'hourglass/net'

/** What can be had from the object, and not by its name. */
const unnamed = (module, names) => Object.keys(module).filter((name) => !Object.hasOwn(names, name))

const server = net.createServer((socket) => socket.end('hello')).listen(7_000, '10.77.0.1')
await once(server, 'listening')
const socket = netNames.connect(7_000, '10.77.0.1').setEncoding('latin1')
const [text] = await once(socket, 'data')
const udp = dgramNames.createSocket('udp4')
udp.bind(7_001)
await once(udp, 'listening')
udp.send('hi', 7_001, '10.77.0.1')
const [message] = await once(udp, 'message')
const words = [process.env.COMMAND, 'ss', '-tuan', '--control', process.env.HOURGLASS_CONTROL]
const listed = await new Promise((resolve) => execFile(process.execPath, words, (_, stdout) => resolve(stdout)))
udp.close()
server.close()
console.log(
  JSON.stringify({
    unnamed: [unnamed(net, netNames), unnamed(dgram, dgramNames), unnamed(dns, dnsNames)],
    text,
    message: String(message),
    address: (await dns.promises.lookup('db')).address,
    ports: [...listed.matchAll(/(?:UNCONN|LISTEN) .*:(\d+) /g)].map(([, port]) => Number(port)),
  }),
)
