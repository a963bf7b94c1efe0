// What a picture shows, for tests that must know that a person sees it: whether something is painted in a box, how well it
// stands out from its ground, and where two pictures differ.

import type { PNG } from 'pngjs'
import type { Box } from './browser.ts'

/** 0xrrggbb. */
type Colour = number

interface Painted {
  /** The colour of most pixels. */
  readonly ground: Colour
  /** How well the best pixel stands out from the ground: 1 to 21 (WCAG 2.2, contrast ratio). */
  readonly contrast: number
  /** The share of pixels that are clearly not ground. */
  readonly inkShare: number
}

/** From here on a pixel is clearly another colour than its ground. */
const CLEAR = 1.5

export function painted(picture: PNG, box: Box): Painted {
  const counts = new Map<Colour, number>()
  for (const colour of colours(picture, box)) counts.set(colour, (counts.get(colour) ?? 0) + 1)
  const [ground] = [...counts].reduce((most, one) => (one[1] > most[1] ? one : most))
  let contrast = 1
  let ink = 0
  let all = 0
  for (const [colour, count] of counts) {
    const ratio = contrastOf(colour, ground)
    contrast = Math.max(contrast, ratio)
    if (ratio >= CLEAR) ink += count
    all += count
  }
  return { ground, contrast, inkShare: ink / all }
}

/** How many pixels of two pictures differ inside the boxes, and outside of all of them. */
export function differences(a: PNG, b: PNG, boxes: readonly Box[]): { inside: number; outside: number } {
  const width = Math.min(a.width, b.width)
  const height = Math.min(a.height, b.height)
  const marked = new Uint8Array(width * height)
  for (const box of boxes) for (const [x, y] of pixels(box, width, height)) marked[y * width + x] = 1
  let inside = 0
  let outside = 0
  for (const [x, y] of pixels({ x: 0, y: 0, width, height }, width, height)) {
    if (colourAt(a, x, y) === colourAt(b, x, y)) continue
    if (marked[y * width + x] === 1) inside++
    else outside++
  }
  return { inside, outside }
}

function* colours(picture: PNG, box: Box): Generator<Colour> {
  for (const [x, y] of pixels(box, picture.width, picture.height)) yield colourAt(picture, x, y)
}

function* pixels({ x, y, width, height }: Box, right: number, bottom: number): Generator<[x: number, y: number]> {
  for (let row = Math.max(0, Math.floor(y)); row < Math.min(bottom, Math.ceil(y + height)); row++) {
    for (let column = Math.max(0, Math.floor(x)); column < Math.min(right, Math.ceil(x + width)); column++) {
      yield [column, row]
    }
  }
}

function colourAt({ data, width }: PNG, x: number, y: number): Colour {
  const at = (y * width + x) * 4
  return (data[at]! << 16) | (data[at + 1]! << 8) | data[at + 2]!
}

function contrastOf(a: Colour, b: Colour): number {
  const [less, more] = [luminance(a), luminance(b)].sort((one, other) => one - other) as [number, number]
  return (more + 0.05) / (less + 0.05)
}

/** Relative luminance of sRGB: 0 black, 1 white. */
export function luminance(colour: Colour): number {
  const [red, green, blue] = [16, 8, 0].map((shift) => {
    const part = ((colour >> shift) & 0xff) / 255
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  }) as [number, number, number]
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}
