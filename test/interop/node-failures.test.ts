// Errors that only a network of one's own can provoke: Node's net and dgram in a namespace, ours in a world that is like it.

import { describe, expect, it } from 'vitest'
import { makeDgram } from '../../src/node/dgram/dgram.ts'
import { makeNet } from '../../src/node/net/net.ts'
import { settle } from '../../src/node/settle.ts'
import { needRoot, withNamespace } from '../support/namespace.ts'
import { inWorld } from '../support/peer.ts'
import { failuresOf, SILENT } from './node-failures.ts'

const SEED = 66

/** Node's, in a namespace with a cable that nobody is at the end of; a SYN is repeated once there, and who asks for neighbours asks once. */
const nodes = (): Promise<unknown> =>
  withNamespace(async (namespace) => {
    await namespace.must('ip link add v0 type veth peer name v1')
    for (const device of ['v0', 'v1']) await namespace.must(`ip link set ${device} up`)
    await namespace.must('ip addr add 10.66.0.1/24 dev v0')
    await namespace.must(`ip neigh add ${SILENT} lladdr 02:00:00:00:00:07 dev v0 nud permanent`)
    await namespace.must('sysctl -qw net.ipv4.tcp_syn_retries=1 net.ipv4.neigh.v0.mcast_solicit=1')
    const { stdout, stderr } = await namespace.script('test/interop/node-failures.ts').finished
    expect(stderr).toBe('')
    return JSON.parse(stdout)
  })

/** Ours, where the silent one is a host without TCP that reports nothing. */
async function ours(): Promise<unknown> {
  let found: unknown
  await inWorld(
    SEED,
    async (world) => {
      const cable = world.cable()
      const [near, silent] = [world.host('near'), world.host('silent')]
      world.attach(near, cable.a, { addresses: ['10.66.0.1/24'] })
      world.attach(silent, cable.b, { addresses: [`${SILENT}/24`] })
      silent.ipv4.protocols[6] = null
      silent.ipv4.reporter = null
      const datagrams = makeDgram(near)
      found = await world.run(failuresOf(makeNet(near), datagrams))
    },
    { settle },
  )
  return found
}

describe.skipIf(!needRoot())('a network that leads nowhere', () => {
  it('ENETUNREACH, EHOSTUNREACH, ETIMEDOUT and EADDRNOTAVAIL are told by ours in the words and fields of Node', async () => {
    const [expected, found] = [await nodes(), await ours()]
    expect(JSON.parse(JSON.stringify(found))).toEqual(expected)
    const codes = JSON.stringify(expected).match(/"code","E[A-Z]+"/g)
    expect(codes).toEqual(
      ['ENETUNREACH', 'EHOSTUNREACH', 'ETIMEDOUT', 'EADDRNOTAVAIL', 'ENETUNREACH'].map((code) => `"code","${code}"`),
    )
  })
})
