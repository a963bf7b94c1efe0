// The page's script: every two seconds it asks for the cells again and writes those that changed. It makes text, never
// HTML. Where it does not run, the page is as the server made it.

/** Plain JavaScript, as browsers since 2022 take it. */
export const PAGE_SCRIPT = `'use strict'
const live = document.getElementById('live')
const pause = document.getElementById('pause')
const SHOWN = 2000
const HIDDEN = 10000
const PATIENCE = 5000
let paused = false
let timer

function say(state, text) {
  if (live.dataset.state === state) return
  live.dataset.state = state
  live.textContent = text
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text
}

function makeRow(kinds) {
  const row = document.createElement('tr')
  kinds.forEach((kind, index) => {
    const cell = document.createElement(index === 0 ? 'th' : 'td')
    if (index === 0) cell.scope = 'row'
    cell.className = kind
    if (kind === 'state') cell.append(document.createElement('span'))
    row.append(cell)
  })
  return row
}

function showTable({ id, caption, rows }) {
  const section = document.getElementById(id)
  const table = section.querySelector('table')
  const body = table.tBodies[0]
  const kinds = Array.from(table.tHead.rows[0].cells, (cell) => cell.className)
  write(section.querySelector('caption'), caption)
  section.querySelector('.empty').hidden = rows.length > 0
  section.querySelector('.scroll').hidden = rows.length === 0
  while (body.rows.length > rows.length) body.rows[body.rows.length - 1].remove()
  while (body.rows.length < rows.length) body.append(makeRow(kinds))
  rows.forEach((cells, at) => {
    cells.forEach((text, column) => {
      const cell = body.rows[at].cells[column]
      if (kinds[column] === 'state') {
        cell.firstElementChild.dataset.state = text
        write(cell.firstElementChild, text)
      } else write(cell, text)
    })
  })
}

function show({ figures, tables }) {
  for (const { id, value, detail } of figures) {
    const figure = document.getElementById(id)
    write(figure.querySelector('.value'), value)
    write(figure.querySelector('.detail'), detail)
  }
  for (const table of tables) showTable(table)
}

async function refresh() {
  try {
    const answer = await fetch('/state.json?cells', { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE) })
    if (!answer.ok) throw new Error(answer.statusText)
    const content = await answer.json()
    if (paused) return
    show(content)
    say('live', 'Live')
  } catch {
    if (!paused) say('lost', 'No answer: trying again')
  }
  wait()
}

function wait() {
  clearTimeout(timer)
  if (!paused) timer = setTimeout(refresh, document.hidden ? HIDDEN : SHOWN)
}

pause.addEventListener('click', () => {
  paused = !paused
  pause.textContent = paused ? 'Go on' : 'Pause'
  if (paused) {
    clearTimeout(timer)
    say('paused', 'Paused')
  } else refresh()
})
document.addEventListener('visibilitychange', () => {
  if (document.hidden || paused) return
  clearTimeout(timer)
  refresh()
})
pause.hidden = false
say('live', 'Live')
wait()
`
