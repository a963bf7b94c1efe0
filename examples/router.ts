// A router of our own between two TAP devices of the system, on one stack and one driver. As root, or in a network namespace:
//
//   node --import tsx examples/router.ts LEFT 10.0.1.1/24,fd01::1/64[,MTU] RIGHT 10.0.2.1/24,fd02::1/64[,MTU]
//
// The TAP devices may be there already (ip tuntap add dev LEFT mode tap); put them into a bridge or another
// namespace, or give the system an address on each. Ctrl-C ends.

import { IpPrefix } from 'hourglass'
import { Host, type HostLink } from 'hourglass/node'

function readLink(name: string, list: string): HostLink {
  const words = list.split(',')
  const mtu = words.filter((word) => !word.includes('/')).map(Number)[0]
  const addresses = words.filter((word) => word.includes('/')).map((word) => IpPrefix.from(word))
  return { link: `tap:${name}`, addresses, probes: 0, ...(mtu === undefined ? {} : { mtu }) }
}

const [left, leftSide, right, rightSide] = process.argv.slice(2)
if (left === undefined || leftSide === undefined || right === undefined || rightSide === undefined) {
  console.error('usage: router.ts LEFT ADDRESS/LEN[,ADDRESS/LEN][,MTU] RIGHT ADDRESS/LEN[,ADDRESS/LEN][,MTU]')
  process.exit(2)
}
const host = await Host.open({ ...readLink(left, leftSide), forwarding: true, name: 'router' })
await host.addLink(readLink(right, rightSide))
host.onFailure = (error) => console.error(error.message)
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void host.close())
await host.ready()
for (const on of host.stack.interfaces.all.slice(1)) {
  console.log(`${on.name} ${on.mac} mtu ${on.mtu} ${on.addresses.map(({ prefix }) => String(prefix)).join(' ')}`)
}
console.log('routing')
