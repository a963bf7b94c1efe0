// The page of `hourglass up --http`, loaded over a TAP by programs of the system: curl, wrk, and a browser, whose picture is
// looked at for what a person sees.

import { describe, expect, it } from 'vitest'
import type { LiveState } from '../../src/node/status/live-state.ts'
import { TABLES } from '../../src/node/status/tables.ts'
import { type Accessible, Browser } from '../support/browser.ts'
import { command, up } from '../support/hourglass.ts'
import { type Namespace, needRoot, withNamespace } from '../support/namespace.ts'
import { differences, luminance, painted } from '../support/picture.ts'
import { needTool } from '../support/tools.ts'

const HOST =
  '--link tap:hg0 --address 10.77.0.2/24 --address fd77::2/64 --os-address 10.77.0.1/24 --os-address fd77::1/64 --serve echo'
const URL4 = 'http://10.77.0.2:8080/'
const URL6 = 'http://[fd77::2]:8080/'
const WIDE = { width: 1_280, height: 900 }
/** WCAG 2.2, 1.4.3: text of this contrast can be read by almost everybody. */
const READABLE = 4.5
const root = needRoot()

/** The system's ends of connections to our port, as `10.77.0.1:40000`. */
async function peersOf(namespace: Namespace, port: number): Promise<string[]> {
  const lines = await namespace.must(`ss -Htn state established dport = :${port}`)
  return lines
    .split('\n')
    .map((line) => line.trim().split(/\s+/)[2] ?? '')
    .filter((text) => text !== '')
}

/** The cells of a table, row by row. */
const rowsOf = (browser: Browser, id: string): Promise<string[][]> =>
  browser.value(`Array.from(document.querySelectorAll('#${id} tbody tr'), (row) =>
    Array.from(row.cells, (cell) => cell.textContent))`)

/** An expression for the cells whose text is one of these. */
const cellsOf = (id: string, texts: readonly string[]): string =>
  `Array.from(document.querySelectorAll('#${id} tbody th, #${id} tbody td')).filter((cell) =>
    ${JSON.stringify(texts)}.includes(cell.textContent))`

describe.skipIf(!root || !needTool('curl'))('the page of up --http, asked by the system', () => {
  it('is given to curl over both families, tells the interface, the routes and the connection that asks', () =>
    withNamespace(async (namespace) => {
      const host = await up(namespace, `${HOST} --http 8080`)
      expect(host.ready).toMatchObject({ pages: [URL4, URL6] })
      for (const url of [URL4, URL6]) {
        const head = await namespace.must(['curl', '-sSI', '-m', '10', url])
        expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
        const text = await namespace.must(['curl', '-sS', '-m', '10', '--compressed', url])
        for (const word of ['hg0', '10.77.0.2/24', 'fd77::2/64', host.ready.mac, '10.77.0.0/24', '10.77.0.1']) {
          expect(text).toContain(word)
        }
        const told = await namespace.must([
          'curl',
          '-sS',
          '-m',
          '10',
          '-w',
          '\n%{local_ip} %{local_port}',
          `${url}state.json`,
        ])
        const [json, end] = told.trimEnd().split('\n\n') as [string, string]
        const [remoteAddress, remotePort] = end.split(' ')
        expect((JSON.parse(json) as LiveState).connections.rows).toContainEqual(
          expect.objectContaining({
            state: 'ESTABLISHED',
            localPort: 8_080,
            remoteAddress,
            remotePort: Number(remotePort),
          }),
        )
        const status = ['curl', '-sS', '-m', '10', '-o', '/dev/null', '-w', '%{http_code}']
        expect(await namespace.must([...status, `${url}nothing`])).toBe('404')
        expect(await namespace.must([...status, '-d', 'x=1', url])).toBe('405')
      }
      const { end, code } = await host.stop()
      expect([code, end.pagesInUse]).toEqual([130, 0])
    }))

  it.skipIf(!needTool('wrk'))('is at the address that is printed, for 64 connections of wrk without an error', () =>
    withNamespace(async (namespace) => {
      const running = namespace.spawn(command(`up ${HOST} --http 80`))
      await running.printed(/^page: http:\/\/10\.77\.0\.2\/ http:\/\/\[fd77::2\]\/$/m)
      const told = await namespace.must('wrk -t 1 -c 64 -d 2 --timeout 10 http://10.77.0.2/')
      expect(told).not.toMatch(/Socket errors|Non-2xx/)
      expect(Number(/^\s*(\d+) requests in /m.exec(told)?.[1])).toBeGreaterThan(64)
      running.child.kill('SIGINT')
      const { code, stdout, stderr } = await running.finished
      expect([code, stderr]).toEqual([130, ''])
      expect(Number(/^TcpPassiveOpens +(\d+)$/m.exec(stdout)?.[1])).toBeGreaterThanOrEqual(64)
    }),
  )
})

/** Opens a browser on the page; nothing of it may be left when it is closed. */
const withPage = (body: (browser: Browser, namespace: Namespace) => Promise<void>): Promise<void> =>
  withNamespace(async (namespace) => {
    const host = await up(namespace, `${HOST} --http 8080`)
    const before = await namespace.must(`ip netns pids ${namespace.name}`)
    expect(await namespace.must('ip route')).not.toContain('default')
    const browser = await Browser.open(namespace)
    try {
      await browser.look(WIDE)
      await body(browser, namespace)
      expect(browser.troubles).toEqual([])
      expect(browser.asked.filter((url) => !url.startsWith(URL4) && !url.startsWith('data:'))).toEqual([])
    } finally {
      await browser.close()
    }
    const lines = (text: string): number => text.trim().split('\n').length
    // The command that looks is one of them, before and after.
    expect(lines(await namespace.must(`ip netns pids ${namespace.name}`))).toBe(lines(before))
    expect((await host.stop()).end.pagesInUse).toBe(0)
  })

/**
 * Loads the page; gives the browser's own connections that it tells, each known to the system as well. The browser keeps
 * its connections for a while, but drops all when an address of the system changes, so that a load may have to be repeated.
 */
async function loadWithConnection(browser: Browser, namespace: Namespace): Promise<string[]> {
  const seen: object[] = []
  while (seen.length < 5) {
    await browser.go(URL4)
    const peers = await peersOf(namespace, 8_080)
    const told = (await rowsOf(browser, 'connections')).map(([peer]) => peer!)
    const both = told.filter((peer) => peers.includes(peer))
    if (both.length > 0) return both
    seen.push({ told, peers })
  }
  throw new Error(`the page never told a connection that the system has: ${JSON.stringify(seen)}`)
}

function expectNames(told: readonly Accessible[]): void {
  const names = (role: string): string[] => told.filter((one) => one.role === role).map(({ name }) => name)
  const titles = TABLES.map(({ title }) => title)
  expect(names('heading')).toEqual(['hourglass', ...titles])
  expect(names('table')).toHaveLength(TABLES.length)
  expect(names('table')).not.toContain('')
  expect(names('columnheader')).toEqual(TABLES.flatMap(({ columns }) => columns.map(([title]) => title)))
  expect(names('rowheader')).toEqual(expect.arrayContaining(['hg0', '10.77.0.0/24', 'TcpPassiveOpens']))
  expect(names('main')).toHaveLength(1)
  // What scrolls is a region with a name, and the keyboard reaches it.
  expect(names('region')).toEqual(expect.arrayContaining(titles))
}

describe.skipIf(!root || !needTool('chromium'))('the page of up --http in a browser', () => {
  it('can be read by day, by night and on a phone without a script: its rows are painted, stand out, and have names for those who do not see', () =>
    withPage(async (browser, namespace) => {
      await browser.allowScripts(false)
      const looks = [WIDE, { ...WIDE, dark: true }, { width: 390, height: 844, mobile: true }]
      for (const look of looks) {
        await browser.look(look)
        const peers = await loadWithConnection(browser, namespace)
        expect((await rowsOf(browser, 'interfaces')).map(([name]) => name)).toEqual(['lo', 'hg0'])
        const seen = [
          "document.querySelectorAll('h2, .value')",
          cellsOf('interfaces', ['hg0', 'UP']),
          cellsOf('connections', peers),
          cellsOf('neighbors', ['10.77.0.1']),
          cellsOf('counters', ['TcpPassiveOpens']),
        ]
        const picture = await browser.screenshot()
        const isDark = 'dark' in look
        expect(luminance(painted(picture, { x: 0, y: picture.height - 8, width: 8, height: 8 }).ground) < 0.1).toBe(
          isDark,
        )
        for (const elements of seen) {
          const boxes = await browser.boxes(elements)
          expect(boxes, elements).not.toEqual([])
          for (const box of boxes) {
            const { contrast, inkShare } = painted(picture, box)
            expect(contrast, elements).toBeGreaterThan(READABLE)
            expect(inkShare, elements).toBeGreaterThan(0.005)
            expect(inkShare, elements).toBeLessThan(0.5)
          }
        }
        const [title] = await browser.boxes("document.querySelectorAll('h1')")
        expect(painted(picture, title!).contrast).toBeGreaterThan(READABLE)
        // What is wider than the screen scrolls in its own box.
        expect(await browser.value('document.documentElement.scrollWidth')).toBeLessThanOrEqual(look.width)
      }
      expectNames(await browser.accessible())
    }))

  it('shows a connection as it comes and goes, by its own script, and stands still when it is paused', () =>
    withPage(async (browser, namespace) => {
      await browser.go(URL4)
      const caption = `document.querySelector('#connections caption').textContent`
      const isThere = `${cellsOf('connections', ['10.77.0.1:40001'])}.length === 1`
      expect(await browser.value(isThere)).toBe(false)
      const nc = namespace.spawn('nc -p 40001 10.77.0.2 7')
      await browser.until(isThere)
      const press = `document.getElementById('pause').click()`
      await browser.value(press)
      expect(await browser.value(`document.getElementById('live').textContent`)).toBe('Paused')
      const rows = await rowsOf(browser, 'connections')
      expect(rows).toContainEqual(['10.77.0.1:40001', 'ESTABLISHED', '10.77.0.2:7', '0', '0'])
      expect(await browser.value(caption)).toBe(`${rows.length} TCP connections`)
      // What is painted there is this row's, and nobody else's.
      const cells = cellsOf('connections', ['10.77.0.1:40001'])
      const boxes = await browser.boxes(cells)
      const shown = await browser.screenshot()
      await browser.value(`${cells}[0].style.color = 'transparent'`)
      const hidden = differences(shown, await browser.screenshot(), boxes)
      expect(hidden).toEqual({ inside: expect.any(Number), outside: 0 })
      expect(hidden.inside).toBeGreaterThan(50)
      await browser.value(`${cells}[0].style.color = ''`)
      nc.child.kill()
      await browser.until(`fetch('/state.json').then((answer) => answer.json()).then(({ connections }) =>
        !connections.rows.some(({ remotePort }) => remotePort === 40001))`)
      expect(await browser.value(isThere)).toBe(true)
      await browser.value(press)
      await browser.until(`!(${isThere})`)
      expect(await browser.value(`document.getElementById('live').textContent`)).toBe('Live')
    }))
})
