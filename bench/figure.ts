// What a bench gives back: figures with units and, where one is set, a bound; and how they are printed.

/** What a figure must not go beyond: `atMost` or `atLeast`, in the figure's own unit. */
export type Bound = { readonly atMost: number } | { readonly atLeast: number }

export interface Figure {
  readonly what: string
  readonly value: number
  readonly unit: string
  readonly bound?: Bound
}

export interface Result {
  readonly figures: readonly Figure[]
  /** How it was measured, and what the figures do not say. */
  readonly notes: readonly string[]
  /** Why nothing was measured; '' when it was. */
  readonly skipped: string
}

export interface Bench {
  readonly name: string
  /** One line for the list. */
  readonly summary: string
  run(): Result | Promise<Result>
}

/** Null where no bound is set. */
export function isMet({ value, bound }: Figure): boolean | null {
  if (bound === undefined) return null
  return 'atMost' in bound ? value <= bound.atMost : value >= bound.atLeast
}

export const skip = (why: string): Result => ({ figures: [], notes: [], skipped: why })

/** One line for each figure: what, value, unit, bound, verdict, in columns. */
export function table(figures: readonly Figure[]): string[] {
  const rows = figures.map((figure) => [
    figure.what,
    number(figure.value),
    figure.unit,
    boundText(figure.bound),
    verdict(figure),
  ])
  const widths = [0, 1, 2, 3].map((column) => Math.max(0, ...rows.map((row) => row[column]!.length)))
  return rows.map(([what, value, unit, bound, met]) =>
    `  ${what!.padEnd(widths[0]!)}  ${value!.padStart(widths[1]!)} ${unit!.padEnd(widths[2]!)}  ${bound!.padEnd(widths[3]!)}  ${met!}`.trimEnd(),
  )
}

function boundText(bound: Bound | undefined): string {
  if (bound === undefined) return ''
  return 'atMost' in bound ? `at most ${number(bound.atMost)}` : `at least ${number(bound.atLeast)}`
}

function verdict(figure: Figure): string {
  const met = isMet(figure)
  return met === null ? '' : met ? 'met' : 'MISSED'
}

/** Three digits that count, thousands set apart. */
function number(value: number): string {
  if (!Number.isFinite(value)) return String(value)
  const magnitude = Math.abs(value)
  const decimals = magnitude >= 100 || value === 0 ? 0 : magnitude >= 10 ? 1 : magnitude >= 1 ? 2 : 3
  return value.toLocaleString('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals })
}
