// A CommonJS program on the modules of the process's host, which --import hourglass/register has opened.
const dgram = require('hourglass/dgram')
const dns = require('hourglass/dns')
const net = require('hourglass/net')

const server = net
  .createServer((socket) => socket.end('hello'))
  .listen(7_000, () => {
    net.connect(7_000).on('data', (text) => {
      server.close()
      console.log(JSON.stringify([String(text), typeof dgram.createSocket, typeof dns.promises.lookup]))
    })
  })
