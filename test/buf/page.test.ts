import { describe, expect, it } from 'vitest'
import { copyInto, LARGE_PAGE, PagePool, SMALL_PAGE } from '../../src/buf/page.ts'
import { testPool } from '../support/pool.ts'

describe('PagePool', () => {
  it('counts a refusal, and no more, where its limit is reached', () => {
    const pool = testPool({ limitBytes: 3 * SMALL_PAGE })
    const pages = [pool.take(1)!, pool.take(SMALL_PAGE)!, pool.take(0)!]
    expect(pool.take(1)).toBeNull()
    expect(pool.take(LARGE_PAGE)).toBeNull()
    expect([pool.failures, pool.inUse, pool.inUseBytes]).toEqual([2, 3, 3 * SMALL_PAGE])
    pages[0]!.release()
    const again = pool.take(1)
    expect(again).toBe(pages[0])
    for (const page of pages) page.release()
    expect([pool.inUse, pool.inUseBytes, pool.peakBytes]).toEqual([0, 0, 3 * SMALL_PAGE])
  })

  it('hands out 4-byte aligned pages of two sizes that do not overlap', () => {
    const pool = testPool()
    const pages = Array.from({ length: 300 }, (_, index) => pool.take(index % 10 === 0 ? SMALL_PAGE + 1 : 64)!)
    pages.forEach((page, index) => {
      page.view.setUint32(0, index)
      page.view.setUint32(page.size - 4, index)
      expect(page.bytes.byteOffset % 4).toBe(0)
    })
    pages.forEach((page, index) => {
      expect(page.size).toBe(index % 10 === 0 ? LARGE_PAGE : SMALL_PAGE)
      expect([page.view.getUint32(0), page.view.getUint32(page.size - 4)]).toEqual([index, index])
      expect(page.words[0]).toBe(new Uint32Array(page.bytes.slice(0, 4).buffer)[0])
      page.release()
    })
  })

  it('reuses pages: a second round cuts no slab', () => {
    const pool = testPool()
    const round = () => {
      const pages = Array.from({ length: 20 }, () => pool.take(LARGE_PAGE)!)
      for (const page of pages) page.release()
    }
    round()
    const cut = pool.slabBytes
    round()
    expect(pool.slabBytes).toBe(cut)
  })

  it('asserts on a second release, and on a page retained after its last', () => {
    const page = testPool().take(1)!
    page.retain()
    page.release()
    page.release()
    expect(() => page.release()).toThrow('released twice')
    expect(() => page.retain()).toThrow('retained')
  })

  it('asserts that nobody asks for more than the largest page', () => {
    expect(() => testPool().take(LARGE_PAGE + 1)).toThrow('largest page')
  })

  it('reports each page in use with the place that took it, and nothing when none is', () => {
    const pool = testPool()
    expect(pool.leakReport()).toBe('')
    const page = pool.take(1)!
    page.retain()
    const report = pool.leakReport()
    expect(report).toContain(`1 pages (${SMALL_PAGE} bytes) in use`)
    expect(report).toContain('2 references')
    expect(report).toContain('page.test.ts')
    page.release()
    page.release()
    expect(pool.leakReport()).toBe('')
  })

  it('says how to find the place where it does not trace', () => {
    const pool = new PagePool()
    const page = pool.take(1)!
    expect(pool.leakReport()).toContain('{ trace: true }')
    page.release()
    expect(pool.leakReport()).toBe('')
  })
})

describe('Page', () => {
  it('lends a window that shows the bytes asked for, however often others are asked for in between', () => {
    const page = testPool().take(100)!
    page.bytes.set(Array.from({ length: 100 }, (_, index) => index))
    expect([...page.window(3, 4)]).toEqual([3, 4, 5, 6])
    expect(page.window(3, 4)).toBe(page.window(3, 4))
    expect([...page.window(3, 2)]).toEqual([3, 4])
    expect([...page.window(90, 2)]).toEqual([90, 91])
    expect([...page.window(3, 4)]).toEqual([3, 4, 5, 6])
    page.release()
  })

  it('copies out and in alike below and above the length at which it stops looping', () => {
    const page = testPool().take(2_000)!
    const user = Uint8Array.from({ length: 1_000 }, (_, index) => (index * 7) & 0xff)
    for (const length of [0, 1, 31, 32, 33, 500, 1_000]) {
      for (const from of [0, 1_000 - length]) {
        page.bytes.fill(0)
        copyInto(page.bytes, 5, user, from, length)
        const out = new Uint8Array(length + 3)
        page.copyTo(5, length, out, 2)
        expect(out).toEqual(Uint8Array.of(0, 0, ...user.subarray(from, from + length), 0))
        expect(page.bytes[5 + length]).toBe(0)
      }
    }
    page.release()
  })
})
