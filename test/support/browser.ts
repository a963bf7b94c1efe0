// A headless Chromium in a network namespace, told by the DevTools protocol over two pipes of its own: what a page says, where
// its elements stand, what assistive programs are told of them, and what is painted. It has a folder of its own, and ends
// with all its processes, which are one process group.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { PNG } from 'pngjs'
import type { Namespace } from './namespace.ts'

/** Nothing that Chromium does by itself goes over the network; there would be no way out of the namespace either. */
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--no-first-run',
  '--no-proxy-server',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-extensions',
  '--disable-sync',
  '--disable-crash-reporter',
  '--force-color-profile=srgb',
  '--hide-scrollbars',
  '--remote-debugging-pipe',
]
const ANSWER_MILLIS = 30_000
const LOOK_MILLIS = 20

export interface Look {
  readonly width: number
  readonly height: number
  readonly dark?: boolean
  /** A phone: the viewport of the page counts. */
  readonly mobile?: boolean
}

export interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** What an assistive program is told of an element. */
export interface Accessible {
  readonly role: string
  readonly name: string
}

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (reason: Error) => void
}

async function patiently(holds: () => Promise<boolean>, what: () => Promise<string>): Promise<void> {
  const patience = Date.now() + ANSWER_MILLIS
  while (!(await holds())) {
    if (Date.now() > patience) throw new Error(`chromium: not within ${ANSWER_MILLIS} ms: ${await what()}`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_MILLIS))
  }
}

export class Browser {
  private readonly child: ChildProcess
  private readonly folder: string
  private readonly waiting = new Map<number, Waiting>()
  private session = ''
  private calls = 0
  private complaint = ''
  /** The document that was loaded last, by the number of its loader. */
  private loaded = ''
  /** Every address that the page asked for. */
  readonly asked: string[] = []
  /** What the browser refused the page, and what went wrong in its script. */
  readonly troubles: string[] = []

  static async open(namespace: Namespace): Promise<Browser> {
    const browser = new Browser(namespace)
    const { targetId } = (await browser.call('Target.createTarget', { url: 'about:blank' })) as { targetId: string }
    const attached = await browser.call('Target.attachToTarget', { targetId, flatten: true })
    browser.session = (attached as { sessionId: string }).sessionId
    for (const domain of ['Page', 'Network', 'Log', 'Runtime', 'Accessibility']) await browser.call(`${domain}.enable`)
    await browser.call('Page.setLifecycleEventsEnabled', { enabled: true })
    return browser
  }

  private constructor(namespace: Namespace) {
    this.folder = mkdtempSync(join(tmpdir(), 'hourglass-browser-'))
    const words = [
      'netns',
      'exec',
      namespace.name,
      'chromium',
      ...FLAGS,
      `--user-data-dir=${this.folder}`,
      'about:blank',
    ]
    // Of its own group, so that all its processes can be ended by one number.
    this.child = spawn('ip', words, {
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
      env: { ...process.env, HOME: this.folder, XDG_CONFIG_HOME: this.folder, XDG_CACHE_HOME: this.folder },
    })
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.complaint = `${this.complaint}${text}`.slice(-4_096)
    })
    this.child.once('exit', () => this.fail('it ended'))
    this.child.once('error', (error) => this.fail(String(error)))
    const from = this.child.stdio[4] as Readable
    let rest = ''
    from.setEncoding('utf8').on('data', (text: string) => {
      const messages = (rest + text).split('\0')
      rest = messages.pop()!
      for (const message of messages) this.hear(JSON.parse(message))
    })
  }

  private hear(message: {
    id?: number
    result?: unknown
    error?: { message: string }
    method?: string
    params?: unknown
  }): void {
    if (message.id === undefined) return this.hearEvent(message.method ?? '', message.params)
    const waiting = this.waiting.get(message.id)
    this.waiting.delete(message.id)
    if (message.error !== undefined) waiting?.reject(new Error(`chromium: ${message.error.message}`))
    else waiting?.resolve(message.result)
  }

  private hearEvent(method: string, params: unknown): void {
    if (method === 'Network.requestWillBeSent') {
      this.asked.push((params as { request: { url: string } }).request.url)
    } else if (method === 'Page.lifecycleEvent') {
      const { name, loaderId } = params as { name: string; loaderId: string }
      if (name === 'load') this.loaded = loaderId
    } else if (method === 'Log.entryAdded') {
      this.troubles.push((params as { entry: { text: string } }).entry.text)
    } else if (method === 'Runtime.exceptionThrown') {
      this.troubles.push(JSON.stringify(params))
    }
  }

  private fail(why: string): void {
    for (const { reject } of this.waiting.values()) reject(new Error(`chromium: ${why}\n${this.complaint}`))
    this.waiting.clear()
  }

  private call(method: string, params: object = {}): Promise<unknown> {
    const id = ++this.calls
    const session = this.session === '' ? {} : { sessionId: this.session }
    const to = this.child.stdio[3] as Writable
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(id)
        reject(new Error(`chromium: no answer to ${method}\n${this.complaint}`))
      }, ANSWER_MILLIS)
      const settle =
        <T>(then: (value: T) => void) =>
        (value: T): void => {
          clearTimeout(timer)
          then(value)
        }
      this.waiting.set(id, { resolve: settle(resolve), reject: settle(reject) })
      to.write(`${JSON.stringify({ id, method, params, ...session })}\0`)
    })
  }

  async look({ width, height, dark = false, mobile = false }: Look): Promise<void> {
    await this.call('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile })
    const scheme = { name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }
    // Nothing moves: two pictures of the same page are the same.
    const still = { name: 'prefers-reduced-motion', value: 'reduce' }
    await this.call('Emulation.setEmulatedMedia', { features: [scheme, still] })
  }

  /** For the next pages. */
  async allowScripts(allowed: boolean): Promise<void> {
    await this.call('Emulation.setScriptExecutionDisabled', { value: !allowed })
  }

  /** Loads the page to its end. Throws where that fails. */
  async go(url: string): Promise<void> {
    const { errorText, loaderId } = (await this.call('Page.navigate', { url })) as {
      errorText?: string
      loaderId: string
    }
    if (errorText !== undefined) throw new Error(`chromium: ${url}: ${errorText}`)
    // Until the new document is there, questions are answered by the one before, which may have the same address.
    await patiently(
      async () => this.loaded === loaderId,
      async () => `${url} to be loaded`,
    )
  }

  /** The value of an expression of JavaScript in the page. */
  async value<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = (await this.call('Runtime.evaluate', {
      expression,
      returnByValue: true,
      awaitPromise: true,
    })) as { result: { value: T }; exceptionDetails?: { text: string } }
    if (exceptionDetails !== undefined) throw new Error(`chromium: ${expression}: ${JSON.stringify(exceptionDetails)}`)
    return result.value
  }

  /** Waits until the expression is true. */
  async until(expression: string): Promise<void> {
    await patiently(
      () => this.value<boolean>(expression),
      async () => `${expression}\n${await this.value('document.body.innerText')}`,
    )
  }

  /** Where the elements are that the expression names, on the whole page. */
  boxes(elements: string): Promise<Box[]> {
    return this.value(`Array.from(${elements}, (element) => {
      const { x, y, width, height } = element.getBoundingClientRect()
      return { x: x + scrollX, y: y + scrollY, width, height }
    })`)
  }

  async accessible(): Promise<Accessible[]> {
    const { nodes } = (await this.call('Accessibility.getFullAXTree')) as {
      nodes: { ignored: boolean; role?: { value: string }; name?: { value: string } }[]
    }
    return nodes
      .filter(({ ignored }) => !ignored)
      .map(({ role, name }) => ({ role: role?.value ?? '', name: name?.value ?? '' }))
  }

  /** The whole page as it is painted. */
  async screenshot(): Promise<PNG> {
    const { data } = (await this.call('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true })) as {
      data: string
    }
    return PNG.sync.read(Buffer.from(data, 'base64'))
  }

  /** Ends it, with all that it started, and removes its folder. */
  async close(): Promise<void> {
    const { child } = this
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
      process.kill(-child.pid!, 'SIGKILL')
      await ended
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10 })
  }
}
