// Changes from this page: sent, applied on this task, applied by every task.

import { newItem } from './side.js'
import { write } from './detail.js'
import { clock, count, span } from './format.js'

const KEY = 'live.admin'
const SENT_MAX = 20
const VERSIONS = new Set(['version', 'writtenVersion'])
const element = (id) => document.getElementById(id)

class Refused extends Error {}

export class Admin {
  #model
  #token = null
  #sent = []
  #changed

  /** `changed()` when what may be done here is not what it was. */
  constructor(model, { changed, row }) {
    this.#model = model
    this.#changed = changed
    this.#token = read()
    element('admin').addEventListener('click', () => (this.unlocked ? this.#lock() : this.#askToken()))
    element('token-form').addEventListener('submit', (event) => this.#unlock(event))
    element('fill').addEventListener('click', () => this.fill())
    element('empty-fill').addEventListener('click', () => this.fill())
    element('purge').addEventListener('click', () => this.purge())
    element('pause').addEventListener('click', () => row() && this.toggle(row()))
    element('budget').addEventListener('click', () => row() && this.changeBudget(row()))
    for (const button of document.querySelectorAll('dialog [data-close]')) {
      button.addEventListener('click', () => button.closest('dialog').close())
    }
  }

  get unlocked() {
    return this.#token !== null
  }

  toggle(row) {
    if (!this.unlocked) return this.#askToken()
    const active = !row.program.active
    return this.#put(row, { active }, active ? 'Resume' : 'Pause')
  }

  async changeBudget(row) {
    write(element('budget-title'), `Budget of ${row.name}`)
    write(element('budget-text'), `It has counted ${count(row.valid)} events so far.`)
    const input = element('budget-value')
    input.value = row.program.budget ?? ''
    const warn = () => {
      const stops = input.value !== '' && Number(input.value) <= row.valid
      write(element('budget-warning'), stops ? 'That is spent already: the program stops counting.' : '')
    }
    input.oninput = warn
    warn()
    if (!(await answered('budget'))) return
    await this.#put(row, { budget: input.value === '' ? null : Number(input.value) }, 'Budget')
  }

  fill() {
    return this.#send('Samples', 'POST', '/cache/fill', undefined, (answer) => answer.programs.at(-1))
  }

  async purge() {
    const text = 'Redis forgets every program, and every task what it holds; they are read again from DynamoDB as events come. Nothing is lost; answers take longer meanwhile.'
    if (!(await ask('Empty every cache?', text, 'Purge'))) return
    await this.#send('Purge', 'POST', '/cache/purge')
  }

  render() {
    for (const sent of this.#sent) this.#follow(sent)
    element('sent').hidden = this.#sent.length === 0
  }

  async #put(row, edit, what) {
    const path = `/programs/${encodeURIComponent(row.id)}`
    const shown = row.program
    try {
      const { program } = await this.#call('GET', path)
      if (program.version > shown.version && !(await this.#isMeant(row, shown, program))) return
      const { version, programId, ...fields } = program
      await this.#send(`${what} ${row.name}`, 'PUT', `${path}?wait=true`, { ...fields, ...edit })
    } catch (error) {
      this.#failed(this.#note(`${what} ${row.name}`), error)
    }
  }

  #isMeant(row, shown, found) {
    const names = Object.keys(found).filter((name) => !VERSIONS.has(name) && String(found[name]) !== String(shown[name]))
    if (!names.length) return true
    const text = `Somebody has changed ${names.join(', ')} meanwhile. Your change is made on top of that.`
    return ask(`${row.name} is not as you saw it`, text, 'Change it')
  }

  async #send(what, method, path, body, pick = (answer) => answer) {
    const sent = this.#note(what)
    try {
      const startMs = performance.now()
      const { version, applied, programId } = pick(await this.#call(method, path, body))
      Object.assign(sent, { version, programId, appliedMs: applied ? performance.now() - startMs : null })
      this.#follow(sent)
    } catch (error) {
      this.#failed(sent, error)
    }
  }

  async #call(method, path, body) {
    const headers = this.#token ? { authorization: `Bearer ${this.#token}` } : {}
    const answer = await fetch(path, { method, headers, cache: 'no-store', body: body && JSON.stringify(body) })
    const told = await answer.json().catch(() => ({}))
    if (answer.status === 401 || answer.status === 403) this.#lock()
    if (!answer.ok) throw new Refused(told.detail || `the task answers ${answer.status}`)
    return told
  }

  #note(what) {
    const sent = { what, item: newItem(), version: null, appliedMs: null, done: false, atMs: Date.now() }
    const [title, when, state] = sent.item.children
    write(title, what)
    write(when, clock(sent.atMs))
    write(state, 'sent …')
    element('sent').hidden = false
    element('sent-list').prepend(sent.item)
    this.#sent.unshift(sent)
    for (const old of this.#sent.splice(SENT_MAX)) old.item.remove()
    return sent
  }

  #failed(sent, error) {
    sent.done = true
    sent.item.dataset.state = 'bad'
    write(sent.item.children[2], `not sent: ${error.message}`)
  }

  /** What is known of a change that was sent: here, then everywhere, then changed again. */
  #follow(sent) {
    if (sent.done || sent.version === null) return
    const change = this.#model.changes.find((each) => each.version === sent.version)
    const here = sent.appliedMs === null ? 'sent, not applied here yet' : `applied here after ${span(sent.appliedMs)}`
    const { by, of } = change ? this.#model.appliedBy(change) : { by: 0, of: 0 }
    const all = of > 0 && by === of && change.tasksMs !== null
    const everywhere = all ? ` · by all ${of} tasks after ${span(change.tasksMs)}` : of ? ` · by ${by} of ${of} tasks` : ''
    const program = this.#model.rows.get(sent.programId)?.program
    const again = program && program.version > sent.version
    write(sent.item.children[2], `${here}${everywhere}${again ? ' · changed again since' : ''}`)
    if (all) sent.item.dataset.state = 'good'
    sent.done = again === true
  }

  #askToken() {
    write(element('token-error'), '')
    element('token').value = ''
    element('token-dialog').showModal()
  }

  async #unlock(event) {
    event.preventDefault()
    const token = element('token').value.trim()
    const problem = await refusal(token)
    if (problem) return write(element('token-error'), problem)
    this.#token = token
    keep(token)
    element('token-dialog').close()
    this.#changed()
  }

  #lock() {
    this.#token = null
    forget()
    this.#changed()
  }
}

/** Why a token is refused, empty where it is not: this call needs one, whatever the program. */
async function refusal(token) {
  try {
    const headers = token ? { authorization: `Bearer ${token}` } : {}
    const answer = await fetch('/programs/-/key', { headers, cache: 'no-store' })
    if (answer.status !== 401 && answer.status !== 403) return ''
    return answer.status === 401 ? 'This tracker asks for its token.' : 'This is not the token.'
  } catch {
    return 'The task does not answer.'
  }
}

function ask(title, text, yes) {
  write(element('ask-title'), title)
  write(element('ask-text'), text)
  write(element('ask-yes'), yes)
  return answered('ask')
}

/** Opens a dialog; whether its form was sent. */
function answered(name) {
  const dialog = element(`${name}-dialog`)
  const form = element(`${name}-form`)
  return new Promise((resolve) => {
    form.onsubmit = (event) => {
      event.preventDefault()
      dialog.onclose = null
      dialog.close()
      resolve(true)
    }
    dialog.onclose = () => resolve(false)
    dialog.showModal()
  })
}

// A browser may keep nothing: then the token lives as long as the page.
function read() {
  try {
    return sessionStorage.getItem(KEY)
  } catch {
    return null
  }
}

function keep(token) {
  try {
    sessionStorage.setItem(KEY, token)
  } catch { /* see above */ }
}

function forget() {
  try {
    sessionStorage.removeItem(KEY)
  } catch { /* see above */ }
}
