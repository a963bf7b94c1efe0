// A small tree of files that obeys the layer rules, and for each rule of .dependency-cruiser.mjs a file that breaks
// it: the proof that the layer check can fail.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** Makes the tree, lets `use` look at it, and removes it. */
export async function withTree<T>(files: Readonly<Record<string, string>>, use: (root: string) => Promise<T>) {
  const root = mkdtempSync(join(tmpdir(), 'hourglass-house-'))
  try {
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, file)), { recursive: true })
      writeFileSync(join(root, file), text)
    }
    return await use(root)
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

/** What the planted imports lead to. None of it is at fault by itself. */
const GROUND = {
  'package.json': '{ "name": "planted", "type": "module", "dependencies": { "some-package": "1.0.0" } }',
  'node_modules/some-package/package.json': '{ "name": "some-package", "version": "1.0.0", "main": "index.js" }',
  'node_modules/some-package/index.js': 'exports.thing = 1\n',
  'src/time.ts': 'export const now = 1\n',
  'src/node/net-types.ts': "export * from 'node:net'\n",
  'src/index.ts': "export { now } from './time.ts'\n",
  'src/stack.ts': "import { now } from './time.ts'\nexport const stack = now\n",
  'src/buf/page.ts': "import { now } from '../time.ts'\nexport const page = now\n",
  'src/wire/tcp.ts': "import { now } from '../time.ts'\nexport const tcp = now\n",
  'src/link/device.ts': "import { page } from '../buf/page.ts'\nexport interface Device { page: typeof page }\n",
  'src/ip/seams.ts': "import type { Device } from '../link/device.ts'\nexport type Way = Device\n",
  'src/ip/routes.ts': "import type { Way } from './seams.ts'\nexport type Route = Way\n",
  'src/udp/udp.ts': "import type { Way } from '../ip/seams.ts'\nexport type Udp = Way\n",
  'src/tcp/ports.ts': "import type { Way } from '../ip/seams.ts'\nexport type Port = Way\n",
  'src/socket/socket.ts': "import { stack } from '../stack.ts'\nexport const socket = stack\n",
  'src/sim/world.ts': "import { stack } from '../stack.ts'\nexport const world = stack\n",
  'src/rpc/call.ts': "import { now } from '../time.ts'\nexport const call = now\n",
  'src/commit/vote.ts': "import { call } from '../rpc/call.ts'\nexport const vote = call\n",
  'src/node/clock.ts': "import { stack } from '../stack.ts'\nexport const clock = stack\n",
  'src/cli/main.ts': "import { clock } from '../node/clock.ts'\nimport 'some-package'\nexport const main = clock\n",
  'native-free-fallback/pipe.ts':
    "import 'node:fs'\nimport type { Device } from '../src/link/device.ts'\nexport type P = Device\n",
  'test/support/thing.ts': 'export const thing = 1\n',
}

interface Plant {
  readonly rule: string
  /** The files at fault; the rest of the tree is innocent. */
  readonly files: Readonly<Record<string, string>>
  /** Other rules that the same import breaks. */
  readonly also?: readonly string[]
}

/** The file and one import of it, so that it is used. */
function plant(rule: string, file: string, imports: string, also: readonly string[] = []): Plant {
  const from = /'[^']+'/.exec(imports)
  const text = from === null ? `export const ${imports} = 1\n` : `${imports}\nexport const planted = 1\n`
  return { rule, files: { [file]: text }, also }
}

/** One fault for each rule. */
export const PLANTS: readonly Plant[] = [
  plant('layers-0', 'src/low.ts', "import { page } from './buf/page.ts'"),
  plant('layers-buf', 'src/buf/a.ts', "import { tcp } from '../wire/tcp.ts'"),
  plant('layers-wire', 'src/wire/a.ts', "import type { Way } from '../ip/seams.ts'"),
  plant('layers-capture', 'src/capture/a.ts', "export { tcp } from '../wire/tcp.ts'"),
  plant('layers-link', 'src/link/a.ts', "export type { Way } from '../ip/seams.ts'"),
  plant('layers-ip', 'src/ip/a.ts', "import type { Udp } from '../udp/udp.ts'"),
  plant('layers-udp', 'src/udp/a.ts', "import type { Port } from '../tcp/ports.ts'"),
  plant('layers-tcp', 'src/tcp/a.ts', "import type { Udp } from '../udp/udp.ts'"),
  plant('layers-stack', 'src/stack.ts', "import { call } from './rpc/call.ts'"),
  plant('layers-socket', 'src/socket/a.ts', "import { world } from '../sim/world.ts'"),
  plant('layers-sim', 'src/sim/a.ts', "import { socket } from '../socket/socket.ts'"),
  plant('layers-drill', 'src/drill/a.ts', "import { socket } from '../socket/socket.ts'"),
  plant('layers-log', 'src/log/a.ts', "import { socket } from '../socket/socket.ts'"),
  plant('layers-mailbox', 'src/mailbox/a.ts', "import { call } from '../rpc/call.ts'"),
  plant('layers-rpc', 'src/rpc/a.ts', "import { vote } from '../commit/vote.ts'"),
  plant('layers-commit', 'src/commit/a.ts', "import { clock } from '../node/clock.ts'"),
  plant('layers-node', 'src/node/a.ts', "import { main } from '../cli/main.ts'"),
  plant('layers-cli', 'src/cli/a.ts', "import { now } from '../index.ts'", ['index-is-for-users']),
  plant('layers-index', 'src/index.ts', "export { clock } from './node/clock.ts'"),
  plant('layers-native-free-fallback', 'native-free-fallback/a.ts', "import type { Way } from '../src/ip/seams.ts'"),
  plant('known-folders', 'src/odd/a.ts', "import { now } from '../time.ts'"),
  plant('ip-meets-transports-at-seams', 'src/tcp/a.ts', "import type { Route } from '../ip/routes.ts'"),
  plant('stack-is-for-the-top', 'src/mailbox/a.ts', "import { stack } from '../stack.ts'", ['layers-mailbox']),
  plant('index-is-for-users', 'src/sim/a.ts', "import { now } from '../index.ts'", ['layers-sim']),
  plant('product-stands-alone', 'src/node/a.ts', "import { thing } from '../../test/support/thing.ts'"),
  plant('node-at-the-edge', 'src/sim/a.ts', "import { readFileSync } from 'node:fs'"),
  plant('node-at-the-edge', 'src/buf/a.ts', "import type { Readable } from 'stream'"),
  plant('packages-at-the-edge', 'src/rpc/a.ts', "import { thing } from 'some-package'"),
  plant('resolvable', 'src/wire/a.ts', "import { gone } from './gone.ts'"),
  plant('no-orphans', 'src/ip/lonely.ts', 'lonely'),
  {
    rule: 'no-cycles',
    files: { 'src/ip/seams.ts': "import type { Route } from './routes.ts'\nexport type Way = Route\n" },
  },
  { rule: 'no-barrels', files: { 'src/wire/index.ts': "export * from './tcp.ts'\n" } },
]

/** The innocent tree, with a plant in it or without. */
export function plantedTree(planted?: Plant): Record<string, string> {
  return { ...GROUND, ...planted?.files }
}
