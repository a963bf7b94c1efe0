// The page of `up --http` as HTML: whole and readable without a script, in tables that say what they are. Nothing is
// fetched from elsewhere, and the header CONTENT_SECURITY lets the browser fetch nothing, run no other script and take no
// other style.

import { createHash } from 'node:crypto'
import { Html, html } from './html.ts'
import type { LiveState } from './live-state.ts'
import { PAGE_SCRIPT } from './page-script.ts'
import { PAGE_STYLE } from './page-style.ts'
import {
  type ColumnKind,
  type Content,
  contentOf,
  type Figure,
  TABLES,
  type TableContent,
  type TableLook,
} from './tables.ts'

const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

/** For the header Content-Security-Policy. */
export const CONTENT_SECURITY = [
  "default-src 'none'",
  `script-src ${hashOf(PAGE_SCRIPT)}`,
  `style-src ${hashOf(PAGE_STYLE)}`,
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Two cones, one above the other, and the sand. */
const HOURGLASS = [
  '<path d="M7 3h18v3c0 5-6 7.5-6 10s6 5 6 10v3H7v-3c0-5 6-7.5 6-10S7 11 7 6z" ',
  'fill="none" stroke="#fff" stroke-width="2" stroke-linejoin="round"/>',
  '<path d="M10.5 8.5h11c-1 2.5-3.8 4-5 6-1.2-2-5-3.5-6-6zM16 19c1 3 5 4 5.7 7.5H10.3C11 23 15 22 16 19z" fill="#ffd27a"/>',
].join('')

const GROUND = '<rect width="32" height="32" rx="7" fill="#1f3fae"/>'
const ICON = `data:image/svg+xml,${encodeURIComponent(
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">${GROUND}${HOURGLASS}</svg>`,
)}`

/** On a wide screen one table takes the whole width, and the others stand in two columns. */
const WIDE = ['interfaces']
const LEFT = ['connections', 'ports']

export function page(state: LiveState): string {
  const content = contentOf(state)
  const sections = TABLES.map((look) => ({ look, text: section(look, content) }))
  const chosen = (isChosen: (id: string) => boolean): Html[] =>
    sections.filter(({ look }) => isChosen(look.id)).map(({ text }) => text)
  const isRight = (id: string): boolean => !WIDE.includes(id) && !LEFT.includes(id)
  const body = html`<body>
<header>
<div class="band">
<svg width="44" height="44" viewBox="0 0 32 32" aria-hidden="true">${new Html(HOURGLASS)}</svg>
<div class="name">
<h1>${state.name}</h1>
<p>A host in user space. This page came to you over its own TCP.</p>
</div>
<p class="watch"><span id="live" role="status"></span><button type="button" id="pause" hidden>Pause</button></p>
</div>
</header>
<main>
<dl>
${content.figures.map(figure)}</dl>
${chosen((id) => WIDE.includes(id))}<div class="columns">
<div>
${chosen((id) => LEFT.includes(id))}</div>
<div>
${chosen(isRight)}</div>
</div>
</main>
<footer>
<noscript><p>Without its script the page stays as it is: load it again to see what changed.</p></noscript>
<p>For programs: <a href="/state.json">/state.json</a>.
On the machine of the host: <code>hourglass ss</code>, <code>ip</code>, <code>nstat</code>.</p>
</footer>
<script>${new Html(PAGE_SCRIPT)}</script>
</body>`
  return `${head(state.name).text}\n${body.text}\n</html>\n`
}

/** A page with one sentence: what was asked for is not here, or not in this way. */
export function plainPage(title: string, sentence: string): string {
  const body = html`<body>
<header><div class="band"><div class="name"><h1>${title}</h1></div></div></header>
<main><section><h2>${sentence}</h2><p class="empty"><a href="/">To the host</a></p></section></main>
</body>`
  return `${head(title).text}\n${body.text}\n</html>\n`
}

function head(title: string): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${title} – Hourglass</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="theme-color" content="#1f3fae">
<link rel="icon" href="${ICON}">
<style>${new Html(PAGE_STYLE)}</style>
</head>`
}

function figure({ id, label, value, detail }: Figure): Html {
  return html`<div id="${id}"><dt>${label}</dt>
<dd><div class="value">${value}</div><div class="detail">${detail}</div></dd></div>
`
}

function section(look: TableLook, { tables }: Content): Html {
  const { id, title, columns, empty } = look
  const { caption, rows } = tables.find((table) => table.id === id)!
  const kinds = columns.map(([, kind]) => kind)
  // What scrolls can be reached by the keyboard, and has a name.
  return html`<section id="${id}">
<h2 id="${id}-title">${title}</h2>
<p class="empty"${hiddenIf(rows.length > 0)}>${empty}</p>
<div class="scroll" role="region" aria-labelledby="${id}-title" tabindex="0"${hiddenIf(rows.length === 0)}>
<table>
<caption>${caption}</caption>
<thead><tr>${columns.map(([name, kind]) => html`<th scope="col" class="${kind}">${name}</th>`)}</tr></thead>
<tbody>
${rows.map((cells) => row(cells, kinds))}</tbody>
</table>
</div>
</section>
`
}

const hiddenIf = (isHidden: boolean): Html => new Html(isHidden ? ' hidden' : '')

function row(cells: TableContent['rows'][number], kinds: readonly ColumnKind[]): Html {
  const made = cells.map((text, column) => {
    const kind = kinds[column]!
    if (column === 0) return html`<th scope="row" class="${kind}">${text}</th>`
    if (kind === 'state') return html`<td class="state"><span data-state="${text}">${text}</span></td>`
    return html`<td class="${kind}">${text}</td>`
  })
  return html`<tr>${made}</tr>
`
}
