// Brings a capture to a file, a pipe or standard output. The writer's memory is drained one asynchronous
// write at a time, from the event loop and never from the data path; while the disk is slow the writer
// holds back what fits and counts the rest. The command line opens it, and decides when to flush.

import { closeSync, constants, fstatSync, openSync, write, writeSync } from 'node:fs'
import type { PcapngWriter } from '../capture/pcapng-writer.ts'
import { EnvironmentError, UsageError } from '../errors.ts'

const { O_CREAT, O_NONBLOCK, O_TRUNC, O_WRONLY } = constants
const STDOUT = 1
/** A pipe that is full is tried again after this. */
const RETRY_MILLIS = 5
/** How often flushSync() tries a full pipe before it gives up. */
const SYNC_RETRIES = 200

/** A flush(), until so many bytes of the capture are written. */
interface Waiting {
  readonly position: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class CaptureFile {
  readonly path: string
  /** Told once when a write fails for good: the capture ends there, everything else goes on. */
  onFailure: ((error: EnvironmentError) => void) | null = null
  private readonly writer: PcapngWriter
  private readonly fd: number
  /** A regular file of our own is written by position, so that flushSync() may repeat a write that is under way. */
  private readonly positioned: boolean
  private position = 0
  private chunk = new Uint8Array(0)
  private chunkAt = 0
  private writing = false
  private scheduled = false
  /** close() has what it waited for; the descriptor goes with the write under way, if any. */
  private closing = false
  private closed = false
  private failure: EnvironmentError | null = null
  private waiting: Waiting[] = []

  /** Opens (and empties) the file; '-' is standard output. Throws UsageError for a path that can be no file's, EnvironmentError where it cannot be opened. */
  static open(path: string, writer: PcapngWriter): CaptureFile {
    if (path === '-') return new CaptureFile('standard output', writer, STDOUT, false)
    if (path === '')
      throw new UsageError('the capture has no file name: give the path of a file, or - for standard output')
    try {
      // A pipe that nobody reads would block the process here, signals and all.
      const fd = openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK, 0o666)
      return new CaptureFile(path, writer, fd, fstatSync(fd).isFile())
    } catch (error) {
      throw openError(path, error)
    }
  }

  private constructor(path: string, writer: PcapngWriter, fd: number, positioned: boolean) {
    this.path = path
    this.writer = writer
    this.fd = fd
    this.positioned = positioned
    writer.onPending = () => this.schedule()
    if (writer.pendingBytes > 0) this.schedule()
  }

  /** Resolves when all that was recorded before the call is written; rejects with what went wrong, now or earlier. */
  flush(): Promise<void> {
    if (this.failure !== null) return Promise.reject(this.failure)
    const position = this.position + this.unwritten
    if (this.closed || position === this.position) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.waiting.push({ position, resolve, reject })
      this.schedule()
    })
  }

  /** Writes the rest and closes the file; later packets are left out. A second call does nothing. */
  async close(): Promise<void> {
    if (this.closed) return
    this.writer.onPending = null
    try {
      await this.flush()
    } finally {
      this.closing = true
      if (!this.writing) this.shut()
    }
  }

  /**
   * Writes the rest at once, blocking: for the last moments of a process. False where it could not: a pipe that is
   * full, or one with a write under way (there, await close() instead), or a failure.
   */
  flushSync(): boolean {
    if (this.closed || this.failure !== null) return false
    if (this.writing && !this.positioned) return false
    for (let tries = 0; ; ) {
      if (this.chunkAt === this.chunk.length) {
        this.load()
        if (this.chunk.length === 0) return true
      }
      try {
        const { chunk, chunkAt } = this
        const at = this.positioned ? this.position : null
        this.wrote(writeSync(this.fd, chunk, chunkAt, chunk.length - chunkAt, at))
      } catch (error) {
        if (codeOf(error) !== 'EAGAIN' || ++tries > SYNC_RETRIES) {
          if (codeOf(error) !== 'EAGAIN') this.fail(error)
          return false
        }
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MILLIS)
      }
    }
  }

  private get unwritten(): number {
    return this.chunk.length - this.chunkAt + this.writer.pendingBytes
  }

  private schedule(): void {
    if (this.scheduled || this.writing || this.closed || this.failure !== null) return
    this.scheduled = true
    setImmediate(() => this.pump())
  }

  private pump(): void {
    this.scheduled = false
    if (this.writing || this.closed || this.failure !== null) return
    if (this.chunkAt === this.chunk.length) this.load()
    if (this.chunk.length === 0) return
    const { chunk, chunkAt } = this
    this.writing = true
    const at = this.positioned ? this.position : null
    write(this.fd, chunk, chunkAt, chunk.length - chunkAt, at, (error, count) => {
      this.writing = false
      if (error !== null && codeOf(error) !== 'EAGAIN') {
        this.fail(error)
        return
      }
      // Meanwhile flushSync() may have written all this, and more.
      const overtaken = this.chunk !== chunk || this.chunkAt !== chunkAt
      if (error === null && !overtaken) this.wrote(count)
      if (this.closing) this.shut()
      else if (this.unwritten === 0) return
      else if (error === null) this.schedule()
      else setTimeout(() => this.schedule(), RETRY_MILLIS)
    })
  }

  /** take() reuses the memory of the chunk before, which a write under way still reads: then the new one is taken in place. */
  private load(): void {
    this.chunk = this.writing ? this.writer.takeInPlace() : this.writer.take()
    this.chunkAt = 0
  }

  private wrote(count: number): void {
    this.chunkAt += count
    this.position += count
    while (this.waiting.length > 0 && this.waiting[0]!.position <= this.position) this.waiting.shift()!.resolve()
  }

  private fail(error: unknown): void {
    if (this.failure !== null || this.closed) return
    this.failure = captureError(this.path, error)
    for (const { reject } of this.waiting.splice(0)) reject(this.failure)
    if (this.onFailure !== null) this.onFailure(this.failure)
  }

  private shut(): void {
    if (this.closed) return
    this.closed = true
    if (this.fd !== STDOUT) closeSync(this.fd)
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

const MEND: Readonly<Record<string, readonly [why: string, mend: string]>> = {
  ENOSPC: ['the disk is full', 'free some space, or capture to another disk'],
  EDQUOT: ['the disk quota is used up', 'free some space, or capture to another disk'],
  EFBIG: ['the file has reached the largest size allowed', 'capture fewer packets, or raise `ulimit -f`'],
  ENOENT: ['there is no such directory', 'make the directory first, or give another path'],
  ENOTDIR: ['a part of the path is not a directory', 'give another path'],
  EISDIR: ['it is a directory', 'give the path of a file'],
  ENAMETOOLONG: ['the name is too long', 'give a shorter path'],
  ENXIO: ['it is a pipe or a socket that nobody reads', 'start its reader first'],
  EACCES: ['permission denied', 'give a path that you may write to'],
  EROFS: ['the file system is read-only', 'give a path that you may write to'],
  EPIPE: ['whoever read the capture has gone', 'keep the reader running, or capture to a file'],
}

/** What is a mistake of the path itself. */
const WRONG_PATH: readonly string[] = ['ENOENT', 'ENOTDIR', 'EISDIR', 'ENAMETOOLONG']

const openError = (path: string, error: unknown): Error => {
  const told = captureError(path, error)
  return WRONG_PATH.includes(codeOf(error)) ? new UsageError(`${told.what}: ${told.why}: ${told.mend}`) : told
}

function captureError(path: string, error: unknown): EnvironmentError {
  const [why, mend] = MEND[codeOf(error)] ?? [
    error instanceof Error ? error.message : String(error),
    'give a path that can be written',
  ]
  return new EnvironmentError(`cannot write the capture to ${path}`, why, mend)
}
