import { defineConfig } from 'vitest/config'

// Interop tests make network namespaces and devices, which only root may. For anybody else all of them are skipped,
// hooks included, and counted as skipped; and nobody overlooks it.
const isRoot = process.getuid?.() === 0
if (!isRoot) console.warn('\n*** INTEROP TESTS ARE SKIPPED: they make network namespaces; run them as root. ***\n')
const NO_TEST = /(?!)/

// Most of the time tests wait: two files at once are quicker even on two cores, and no test may rest on having a core alone.
export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/interop/**'],
          setupFiles: ['test/support/setup.ts'],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'interop',
          include: ['test/interop/**/*.test.ts'],
          setupFiles: ['test/support/setup.ts'],
          ...(isRoot ? {} : { testNamePattern: NO_TEST }),
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
