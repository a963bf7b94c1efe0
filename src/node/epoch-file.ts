// The epoch of EpochIsn on disk: a number that is raised at each boot, and is there whole or as it was before, whenever
// the machine dies. host.ts takes its initial sequence numbers from here.

import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { EnvironmentError } from '../errors.ts'
import type { Random } from '../random.ts'
import { EpochIsn, type InitialSequenceNumbers, RandomIncrementIsn } from '../tcp/isn.ts'
import { readText } from './read-text.ts'

/** A number and the end of its line. */
const EPOCH_BYTES = 64

/** How a host chooses initial sequence numbers: RFC 6528 (the default), by random increments, or with an epoch in a file. */
export type IsnChoice = 'hashed' | 'random' | { readonly epochFile: string }

/** What raiseEpoch() does to the disk, in this order; each is done for good when it returns. */
export interface EpochDisk {
  /** The content; null: there is no such file. */
  read(path: string): string | null
  /** Writes a file anew, and brings it to the disk. */
  write(path: string, text: string): void
  /** Puts one file in the place of another, and brings the folder to the disk. */
  rename(from: string, to: string): void
}

/** The generator; undefined: the stack's own. Throws EnvironmentError. */
export function isnOf(choice: IsnChoice, random: Random): InitialSequenceNumbers | undefined {
  if (choice === 'hashed') return undefined
  return choice === 'random' ? new RandomIncrementIsn(random) : new EpochIsn(random, raiseEpoch(choice.epochFile))
}

/**
 * The epoch of this boot: one more than that of the last, or 1. It is on the disk when this returns, so that no
 * connection has a number of an epoch that a later boot may get again. Throws EnvironmentError.
 */
export function raiseEpoch(path: string, disk: EpochDisk = DISK): number {
  const epoch = readEpoch(path, disk) + 1
  const next = `${path}.new`
  try {
    disk.write(next, `${epoch}\n`)
    disk.rename(next, path)
  } catch (error) {
    throw unusable(path, 'cannot be written', error)
  }
  return epoch
}

function readEpoch(path: string, disk: EpochDisk): number {
  let text: string | null
  try {
    text = disk.read(path)
  } catch (error) {
    throw unusable(path, 'cannot be read', error)
  }
  if (text === null) return 0
  if (!/^\d{1,15}\n?$/.test(text)) {
    throw new EnvironmentError(
      `the epoch file ${path}`,
      'it holds no number of a boot',
      'write one into it that is larger than any before, or remove it four minutes after the last boot that used it',
    )
  }
  return Number(text)
}

function unusable(path: string, what: string, error: unknown): EnvironmentError {
  const reason = error instanceof Error ? error.message : String(error)
  return new EnvironmentError(
    `the epoch file ${path} ${what}`,
    reason,
    'name a file that this user may write, in a folder that is there and that he may write as well',
  )
}

const DISK: EpochDisk = {
  read(path) {
    try {
      return readText(path, EPOCH_BYTES)
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
      throw error
    }
  },
  write(path, text) {
    withFile(path, 'w', (fd) => {
      writeSync(fd, text)
      fsyncSync(fd)
    })
  },
  rename(from, to) {
    renameSync(from, to)
    withFile(dirname(to), 'r', fsyncSync)
  },
}

function withFile(path: string, flags: string, use: (fd: number) => void): void {
  const fd = openSync(path, flags)
  try {
    use(fd)
  } finally {
    closeSync(fd)
  }
}
