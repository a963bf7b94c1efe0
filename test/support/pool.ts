// Page pools for tests. Each one traces where its pages were taken, and the test fails that leaves one in use.

import { PagePool, type PagePoolOptions } from '../../src/buf/page.ts'

const pools: PagePool[] = []

export function testPool(options: PagePoolOptions = {}): PagePool {
  const pool = new PagePool({ trace: true, ...options })
  pools.push(pool)
  return pool
}

/** What the pools handed out since the last call still hold; '' when nothing. */
export function takeLeakReports(): string {
  return pools
    .splice(0)
    .map((pool) => pool.leakReport())
    .filter((report) => report !== '')
    .join('\n')
}
