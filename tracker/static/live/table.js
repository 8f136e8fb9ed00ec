// The list: only the rows that are seen are in the page, however many programs there are.

import { spark } from './chart.js'
import { count, NOTHING, perSecond, percent } from './format.js'
import { series, stateOf } from './model.js'

const SPARE_ROWS = 2
const SPARK_WIDTH = 96
const SPARK_HEIGHT = 22
const SORT_AGAIN_MS = 2_000
const STILL_MS = 400
const COLUMNS = ['name', 'state', 'rate', 'spark', 'views', 'clicks', 'conversions', 'ctr', 'cvr', 'visitors', 'budget']
/** By which the list can be sorted, and what of a row that is; text goes up, numbers go down. */
const ORDERS = {
  name: (row) => row.name.toLowerCase(),
  state: (row, now) => stateOf(row.program, now.ms).text,
  rate: (row, now) => row.rate.at(now.seenMs) ?? 0,
  views: (row) => row.totals[0],
  clicks: (row) => row.totals[1],
  conversions: (row) => row.totals[2],
  ctr: (row) => row.ctr,
  cvr: (row) => row.cvr,
  visitors: (row, now) => row.visitors(now.ms),
  budget: (row) => row.left ?? -1,
}
const RISING = new Set(['name', 'state'])

export class Table {
  #model
  #grid
  #body
  #pool = []
  #shown = []
  #order = 'rate'
  #reversed = false
  #search = ''
  #only = ''
  #index = -1
  #selected = null
  #sortedMs = 0
  #scrolledMs = 0
  #scrolling = false
  #shape = -1
  #rowHeight = 44
  #open
  #toggle
  #typing

  /** `open(id)` when a program is to be shown, `toggle(id)` when it is to be paused or resumed. */
  constructor(model, { open, toggle, search }) {
    this.#model = model
    this.#open = open
    this.#toggle = toggle
    this.#typing = search
    this.#grid = document.getElementById('grid')
    this.#body = document.getElementById('rows')
    this.#grid.addEventListener('scroll', () => this.#scroll(), { passive: true })
    this.#grid.addEventListener('keydown', (event) => this.#key(event))
    this.#grid.addEventListener('focus', () => this.#index < 0 && this.#move(0))
    this.#body.addEventListener('click', (event) => this.#click(event))
    for (const button of this.#grid.querySelectorAll('[data-sort]')) {
      button.addEventListener('click', () => this.sortBy(button.dataset.sort))
    }
    new ResizeObserver(() => this.#measure()).observe(this.#grid)
    this.#mark()
  }

  get length() {
    return this.#shown.length
  }

  get order() {
    return this.#order
  }

  get #rising() {
    return RISING.has(this.#order) !== this.#reversed
  }

  set selected(id) {
    this.#selected = id
    this.#paint()
  }

  focus() {
    this.#grid.focus()
  }

  /** Shows those that have the words of `search`, and count, or do not, where `only` says so. */
  filter(search, only) {
    this.#search = search.trim().toLowerCase()
    this.#only = only
    this.#grid.scrollTop = 0
    this.#index = -1
    this.#arrange()
    this.#paint()
  }

  /** The same column again turns the order round. */
  sortBy(order) {
    this.#reversed = this.#order === order && !this.#reversed
    this.#order = order
    this.#arrange()
    this.#paint()
    this.#mark()
  }

  /** Rows keep their places while they are scrolled past. */
  render() {
    const nowMs = performance.now()
    const still = nowMs - this.#scrolledMs > STILL_MS
    if (still && (nowMs - this.#sortedMs > SORT_AGAIN_MS || this.#shape !== this.#model.shape)) this.#arrange()
    if (!this.#scrolling) this.#paint()
  }

  /** Once a frame, however many events there are of it. */
  #scroll() {
    this.#scrolledMs = performance.now()
    if (this.#scrolling) return
    this.#scrolling = true
    requestAnimationFrame(() => {
      this.#scrolling = false
      this.#paint()
    })
  }

  #now() {
    return { ms: this.#model.nowMs, seenMs: performance.now() }
  }

  #arrange() {
    const held = this.#shown[this.#index]
    const now = this.#now()
    const by = ORDERS[this.#order]
    const sign = this.#rising ? 1 : -1
    const keyed = []
    for (const row of this.#model.rows.values()) {
      if (row.program && this.#fits(row, now.ms)) keyed.push([by(row, now), row])
    }
    keyed.sort(([one, first], [other, second]) => {
      if (one !== other) return one < other ? -sign : sign
      return first.id < second.id ? -1 : 1
    })
    this.#shown = keyed.map(([, row]) => row)
    this.#index = held ? this.#shown.indexOf(held) : this.#index
    this.#sortedMs = performance.now()
    this.#shape = this.#model.shape
    this.#body.style.blockSize = `${this.#shown.length * this.#rowHeight}px`
    this.#grid.setAttribute('aria-rowcount', this.#shown.length + 1)
  }

  #fits(row, nowMs) {
    if (this.#only && (stateOf(row.program, nowMs).key === 'counting') !== (this.#only === 'counting')) return false
    return !this.#search || row.search.includes(this.#search)
  }

  #measure() {
    const height = parseFloat(getComputedStyle(this.#grid).getPropertyValue('--row'))
    if (height && height !== this.#rowHeight) {
      this.#rowHeight = height
      for (const element of this.#pool) element.seen = null
      this.#arrange()
    }
    this.#paint()
  }

  #paint() {
    const first = Math.max(0, Math.floor(this.#grid.scrollTop / this.#rowHeight) - SPARE_ROWS)
    const fitting = Math.ceil(this.#grid.clientHeight / this.#rowHeight) + 2 * SPARE_ROWS
    const last = Math.min(this.#shown.length, first + fitting)
    while (this.#pool.length < last - first) this.#pool.push(this.#newRow())
    const now = this.#now()
    // A program keeps its element as long as it is seen, or focus and pointer would lose it.
    const wanted = new Map()
    for (let index = first; index < last; index++) wanted.set(index % this.#pool.length, index)
    for (const [slot, element] of this.#pool.entries()) {
      const index = wanted.get(slot)
      if (index === undefined) element.node.hidden = true
      else this.#fill(element, index, now)
    }
    if (this.#index < 0) this.#grid.removeAttribute('aria-activedescendant')
  }

  #newRow() {
    const node = document.createElement('div')
    node.className = 'row'
    node.setAttribute('role', 'row')
    node.id = `row-${this.#pool.length}`
    const cells = {}
    for (const column of COLUMNS) {
      const cell = document.createElement('span')
      cell.className = `c-${column}`
      cell.setAttribute('role', 'gridcell')
      node.append(cell)
      cells[column] = cell
    }
    const parts = { title: part(cells.name, 'b'), sub: part(cells.name, 'small') }
    parts.dot = part(cells.state, 'i')
    parts.state = part(cells.state, 'span')
    parts.path = sparkIn(cells.spark)
    parts.bar = part(cells.budget, 'i')
    parts.fill = part(parts.bar, 'i')
    parts.left = part(cells.budget, 'span')
    this.#body.append(node)
    return { node, cells, parts, texts: new Map(), seen: null }
  }

  #fill(element, index, now) {
    const row = this.#shown[index]
    const { node, cells, parts } = element
    const active = index === this.#index
    node.hidden = false
    if (element.index !== index || element.height !== this.#rowHeight) {
      node.style.transform = `translateY(${index * this.#rowHeight}px)`
      node.setAttribute('aria-rowindex', index + 2)
      element.index = index
      element.height = this.#rowHeight
    }
    node.classList.toggle('active', active)
    if (active) this.#grid.setAttribute('aria-activedescendant', node.id)
    node.setAttribute('aria-selected', row.id === this.#selected)
    this.#write(element, cells.rate, perSecond(row.rate.at(now.seenMs)))
    this.#write(element, cells.visitors, count(row.visitors(now.ms)))
    const state = stateOf(row.program, now.ms)
    this.#write(element, parts.state, state.text)
    if (node.dataset.state !== state.key) node.dataset.state = state.key
    const minute = Math.floor(now.ms / 5_000)
    if (element.seen === row && element.revision === row.revision && element.minute === minute) return
    Object.assign(element, { seen: row, revision: row.revision, minute })
    node.dataset.id = row.id
    this.#write(element, parts.title, row.name)
    this.#write(element, parts.sub, `${row.id} · ${row.program.customerName}`)
    this.#write(element, cells.views, count(row.totals[0]))
    this.#write(element, cells.clicks, count(row.totals[1]))
    this.#write(element, cells.conversions, count(row.totals[2]))
    this.#write(element, cells.ctr, percent(row.totals[1], row.totals[0]))
    this.#write(element, cells.cvr, percent(row.totals[2], row.totals[1]))
    parts.path.setAttribute('d', spark(series(row.minutes, now.ms), SPARK_WIDTH, SPARK_HEIGHT))
    this.#writeBudget(element, row)
  }

  #writeBudget(element, row) {
    const { parts } = element
    const left = row.left
    parts.bar.hidden = left === null
    this.#write(element, parts.left, left === null ? NOTHING : count(left))
    if (left !== null) parts.fill.style.inlineSize = `${row.program.budget ? (100 * left) / row.program.budget : 0}%`
  }

  #write(element, node, text) {
    if (element.texts.get(node) === text) return
    element.texts.set(node, text)
    node.textContent = text
  }

  #click(event) {
    const node = event.target.closest('.row')
    if (!node) return
    this.#index = this.#shown.findIndex((row) => row.id === node.dataset.id)
    this.#paint()
    this.#open(node.dataset.id)
  }

  #key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target !== this.#grid) return
    const page = Math.max(1, Math.floor(this.#grid.clientHeight / this.#rowHeight) - 2)
    const id = this.#shown[this.#index]?.id
    const act = {
      ArrowDown: () => this.#move(this.#index + 1),
      ArrowUp: () => this.#move(this.#index - 1),
      PageDown: () => this.#move(this.#index + page),
      PageUp: () => this.#move(this.#index - page),
      Home: () => this.#move(0),
      End: () => this.#move(this.#shown.length - 1),
      ArrowRight: () => this.#sortBeside(1),
      ArrowLeft: () => this.#sortBeside(-1),
      Enter: () => id && this.#open(id, true),
      p: () => id && this.#toggle(id),
      '/': () => this.#typing(),
    }[event.key]
    if (!act) return
    event.preventDefault()
    act()
  }

  #sortBeside(step) {
    const orders = Object.keys(ORDERS)
    this.sortBy(orders[(orders.indexOf(this.#order) + step + orders.length) % orders.length])
  }

  #move(index) {
    if (!this.#shown.length) return
    this.#index = Math.min(this.#shown.length - 1, Math.max(0, index))
    const head = this.#grid.querySelector('.head').offsetHeight
    const top = this.#index * this.#rowHeight
    const seen = this.#grid.clientHeight - head - this.#rowHeight
    this.#grid.scrollTop = Math.min(top, Math.max(this.#grid.scrollTop, top - seen))
    this.#paint()
  }

  #mark() {
    for (const button of this.#grid.querySelectorAll('[data-sort]')) {
      const header = button.parentElement
      if (button.dataset.sort !== this.#order) header.removeAttribute('aria-sort')
      else header.setAttribute('aria-sort', this.#rising ? 'ascending' : 'descending')
    }
  }
}

function part(parent, tag) {
  const node = document.createElement(tag)
  parent.append(node)
  return node
}

function sparkIn(parent) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
  svg.setAttribute('viewBox', `0 0 ${SPARK_WIDTH} ${SPARK_HEIGHT}`)
  svg.setAttribute('aria-hidden', 'true')
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path')
  svg.append(path)
  parent.append(svg)
  return path
}
