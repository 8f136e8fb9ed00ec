// The page: what the stream tells goes into the model, and a few times a second from there to the screen.

import { Admin } from './admin.js'
import { Chart } from './chart.js'
import { Detail, write } from './detail.js'
import { ago, clock, count, perSecond, percent } from './format.js'
import { Model, series, visitorsOf } from './model.js'
import { isSpent, pace } from './pace.js'
import { Readers } from './readers.js'
import { Changes, Health } from './side.js'
import { Stream } from './stream.js'
import { Table } from './table.js'

const TICK_MS = 1_000
const SPEAK_MS = 60_000
const QUIET_MS = 4_000
const element = (id) => document.getElementById(id)

const model = new Model()
const stream = new Stream('/live/stream', {
  heard: take,
  turned: ({ up }) => {
    if (up) model.settle()
    say(up ? 'Connected' : 'Connection lost')
    soon()
  },
})
const detail = new Detail(model, {
  closed: () => {
    cover(false)
    table.selected = null
    table.focus()
  },
})
const admin = new Admin(model, { changed: showTools, row: () => detail.row })
const table = new Table(model, {
  open: (id, focus) => {
    table.selected = id
    cover(isNarrow())
    detail.open(id, focus || isNarrow())
  },
  toggle: (id) => admin.toggle(model.rows.get(id)),
  search: () => element('search').focus(),
})
const changes = new Changes(model)
const health = new Health(model, stream)
const readers = new Readers(model)
const chart = new Chart(element('all-chart'), element('all-reading'))

let waiting = false
let spokenMs = performance.now()

/** Takes what was told, and lets the screen have its turn where that is much. */
async function take(kind, data) {
  for (const _ of model.take(kind, data)) if (isSpent()) await pace()
  soon()
}

/** Paints with the next frame, once for all that came before it. */
function soon() {
  if (waiting || document.hidden) return
  waiting = true
  requestAnimationFrame(() => {
    waiting = false
    paint()
  })
}

function paint() {
  showLink()
  showSummary()
  table.render()
  showList()
  detail.render()
  changes.render()
  admin.render()
}

function showLink() {
  const [state, text] = linkState()
  element('link').dataset.state = state
  write(element('link'), text)
}

function linkState() {
  if (!stream.up && model.state === null) return ['wait', stream.reason ? `Not connected: ${stream.reason}` : 'Connecting']
  if (!stream.up) return ['bad', `Connection lost at ${clock(stream.sinceMs)}, trying again. What you see is of then.`]
  if (model.state === null) return ['wait', 'Connecting']
  if (!model.state.linked) return ['bad', `The task has lost Redis at ${clock(model.state.sinceMs)}. What you see may be of then.`]
  if (model.state.reading) return ['wait', 'Reading']
  const silentMs = Date.now() - stream.heardMs
  return silentMs > QUIET_MS ? ['wait', `Quiet for ${ago(silentMs)}`] : ['good', 'Live']
}

function showSummary() {
  const [views, clicks, conversions] = model.totals
  write(element('all-rate'), perSecond(model.rate.at(performance.now())))
  write(element('all-views'), count(views))
  write(element('all-clicks'), count(clicks))
  write(element('all-conversions'), count(conversions))
  write(element('all-ctr'), percent(clicks, views))
  write(element('all-cvr'), percent(conversions, clicks))
  write(element('all-visitors'), count(visitorsOf(model.minutes, model.nowMs)))
  chart.draw(series(model.minutes, model.nowMs), 'All programs')
}

function showList() {
  const known = model.state !== null && (model.complete || model.rows.size > 0)
  const empty = model.complete && table.length === 0
  element('skeleton').hidden = known
  element('empty').hidden = !empty
  element('grid').setAttribute('aria-busy', String(!known))
  const all = model.rows.size
  write(element('shown'), !known ? '' : table.length === all ? count(all) : `${count(table.length)} of ${count(all)}`)
  if (empty) showEmpty(all)
}

function showEmpty(all) {
  write(element('empty-title'), all ? 'No program is like that' : 'No programs yet')
  write(element('empty-text'), all ? 'Search for something else, or look at all states.' : 'Load the three samples, with the admin token where there is one. Then send an event:')
  element('empty-code').hidden = element('empty-fill').hidden = all > 0
  write(element('empty-code'), `curl -X POST ${location.origin}/cache/fill\ncurl ${location.origin}/event/212313`)
  element('empty-fill').hidden ||= !admin.unlocked
}

function showTools() {
  write(element('admin'), admin.unlocked ? 'Lock' : 'Administer')
  element('detail-actions').hidden = element('admin-actions').hidden = !admin.unlocked
  soon()
}

/** What a screen reader is told: when the connection turns, and how things stand now and then. */
function say(text) {
  write(element('spoken'), text)
  spokenMs = performance.now()
}

function speakNow() {
  if (performance.now() - spokenMs < SPEAK_MS || !model.complete) return
  say(`${perSecond(model.rate.at(performance.now()))} events per second, ${count(model.rows.size)} programs`)
}

/** Where a program covers the rest of the page, the rest is out of reach. */
function cover(covered) {
  for (const part of document.querySelectorAll('.top, .summary, .programs, .tabs')) part.inert = covered
}

function isNarrow() {
  return matchMedia('(max-width: 60rem)').matches
}

function showTheme() {
  const kept = remembered()
  const dark = kept ? kept === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches
  if (kept) document.documentElement.dataset.theme = kept
  write(element('theme'), dark ? 'Light' : 'Dark')
  element('theme').setAttribute('aria-label', dark ? 'Light colours' : 'Dark colours')
  return dark
}

function remembered() {
  try {
    return localStorage.getItem('live.theme')
  } catch {
    return document.documentElement.dataset.theme
  }
}

element('theme').addEventListener('click', () => {
  const theme = showTheme() ? 'light' : 'dark'
  document.documentElement.dataset.theme = theme
  try {
    localStorage.setItem('live.theme', theme)
  } catch { /* it lasts as long as the page */ }
  showTheme()
})
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', showTheme)

element('search').addEventListener('input', filter)
element('search').addEventListener('keydown', (event) => {
  if (event.key === 'ArrowDown' || event.key === 'Enter') table.focus()
})
element('only').addEventListener('change', filter)
element('order').addEventListener('change', () => table.sortBy(element('order').value))

function filter() {
  table.filter(element('search').value, element('only').value)
  showList()
}

element('keys').addEventListener('click', () => element('keys-dialog').showModal())
element('keys-form').addEventListener('submit', (event) => {
  event.preventDefault()
  element('keys-dialog').close()
})

for (const button of document.querySelectorAll('.tabs button')) {
  button.addEventListener('click', () => {
    element('main').dataset.tab = button.dataset.tab
    for (const each of document.querySelectorAll('.tabs button')) each.setAttribute('aria-pressed', each === button)
    soon()
  })
}

document.addEventListener('visibilitychange', soon)
setInterval(() => {
  soon()
  if (document.hidden) return
  health.render()
  element('health-tab').toggleAttribute('data-bad', readers.render())
  speakNow()
}, TICK_MS)
showTheme()
showTools()
stream.run()
