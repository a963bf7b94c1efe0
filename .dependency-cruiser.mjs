// Who may import whom: the layer rules of docs/architecture.md as dependency-cruiser's configuration. Read by
// test/house/dependencies.ts (npm run layers), docs/generate.ts (the drawing), and `npx depcruise src`.

/** The folders of each layer; layer 0 is the files of src itself. A folder that is not here may not exist. */
export const LAYERS = [
  { layer: 1, folders: ['src/buf', 'src/wire', 'src/capture'] },
  { layer: 2, folders: ['src/link'] },
  { layer: 3, folders: ['src/ip'] },
  { layer: 4, folders: ['src/udp', 'src/tcp'] },
  // Layer 5 is src/stack.ts alone.
  { layer: 6, folders: ['src/socket', 'src/sim', 'src/drill', 'src/log'] },
  { layer: 7, folders: ['src/mailbox'] },
  { layer: 8, folders: ['src/rpc'] },
  { layer: 9, folders: ['src/commit'] },
  { layer: 10, folders: ['src/node'] },
  { layer: 11, folders: ['src/cli'] },
]
export const STACK_LAYER = 5
/** Everything from here up touches the world. */
export const EDGE_LAYER = 10
export const FALLBACK = 'native-free-fallback'
const FALLBACK_IMPORTS = ['src/buf', 'src/wire', 'src/link']
const STACK_USERS = ['src/socket', 'src/sim', 'src/drill', 'src/node', 'src/cli']

const STACK = '^src/stack\\.ts$'
const INDEX = '^src/index\\.ts$'
/** src/*.ts but for the two that stand above other layers. */
const LAYER_0 = '^src/(?!stack\\.ts$|index\\.ts$)[^/]+\\.ts$'
const PRODUCT = `^(src|${FALLBACK})/`
const EDGE_FOLDERS = LAYERS.filter(({ layer }) => layer >= EDGE_LAYER).flatMap(({ folders }) => folders)
const EDGE = `^(${[...EDGE_FOLDERS, FALLBACK].join('|')})/`
const PACKAGES = ['npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-bundled', 'npm-no-pkg', 'npm-unknown']

const inside = (folder) => `^${folder}/`
const below = (layer) => LAYERS.filter((other) => other.layer < layer).flatMap(({ folders }) => folders)

function rule(name, comment, from, to) {
  return { name, comment, severity: 'error', from, to }
}

/** A folder sees layer 0, the layers below its own, itself, and nothing else of the product. */
function folderRule(folder, layer) {
  const allowed = [LAYER_0, inside(folder), ...below(layer).map(inside)]
  if (STACK_USERS.includes(folder)) allowed.push(STACK)
  if (layer >= EDGE_LAYER) allowed.push(inside(FALLBACK))
  return rule(
    `layers-${folder.slice('src/'.length)}`,
    `${folder} imports lower layers and its own folder only`,
    { path: inside(folder) },
    { path: PRODUCT, pathNot: allowed },
  )
}

const layerRules = [
  rule(
    'layers-0',
    'the files of src itself import one another only',
    { path: LAYER_0 },
    { path: PRODUCT, pathNot: LAYER_0 },
  ),
  ...LAYERS.flatMap(({ layer, folders }) => folders.map((folder) => folderRule(folder, layer))),
  rule(
    'layers-stack',
    'src/stack.ts puts together what lies below it',
    { path: STACK },
    { path: PRODUCT, pathNot: [LAYER_0, ...below(STACK_LAYER).map(inside)] },
  ),
  rule(
    'layers-index',
    'src/index.ts exports the core: the edge has an entry point of its own',
    { path: INDEX },
    { path: EDGE },
  ),
  rule(
    `layers-${FALLBACK}`,
    'a device without native code sees the device interface and what lies below it',
    { path: inside(FALLBACK) },
    { path: PRODUCT, pathNot: [LAYER_0, inside(FALLBACK), ...FALLBACK_IMPORTS.map(inside)] },
  ),
]

const seamRules = [
  rule(
    'known-folders',
    'a folder of src has a layer: give it one in .dependency-cruiser.mjs',
    { path: '^src/[^/]+/', pathNot: below(Number.POSITIVE_INFINITY).map(inside) },
    {},
  ),
  rule(
    'ip-meets-transports-at-seams',
    'transports know src/ip/seams.ts and nothing else of src/ip',
    { path: '^src/(udp|tcp)/' },
    { path: '^src/ip/', pathNot: '^src/ip/seams\\.ts$' },
  ),
  rule(
    'stack-is-for-the-top',
    `only ${STACK_USERS.join(', ')} and src/index.ts know the composition root`,
    { path: PRODUCT, pathNot: [INDEX, STACK, ...STACK_USERS.map(inside)] },
    { path: STACK },
  ),
  rule(
    'index-is-for-users',
    'src/index.ts is for programs outside: inside, import the file that has the thing',
    { path: PRODUCT },
    { path: INDEX },
  ),
  rule(
    'product-stands-alone',
    'nothing that is published imports tests, benchmarks, examples or documents',
    { path: PRODUCT },
    { path: '^(test|bench|examples|docs)/' },
  ),
]

const worldRules = [
  rule(
    'node-at-the-edge',
    'node: only where the world is touched',
    { path: PRODUCT, pathNot: EDGE },
    { dependencyTypes: ['core'] },
  ),
  rule(
    'packages-at-the-edge',
    'the core depends on no package',
    { path: PRODUCT, pathNot: EDGE },
    { dependencyTypes: PACKAGES },
  ),
  rule('resolvable', 'every import leads somewhere', {}, { couldNotResolve: true }),
  rule('no-cycles', 'a cycle, of types alone too, is one module cut in two', {}, { circular: true }),
  rule(
    'no-orphans',
    'a file that imports nothing and is imported by nothing is dead',
    { orphan: true, pathNot: ['\\.d\\.ts$', INDEX, '^src/node/index\\.ts$', '^src/cli/main\\.ts$'] },
    {},
  ),
]

export default {
  forbidden: [...layerRules, ...seamRules, ...worldRules],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
  },
}
