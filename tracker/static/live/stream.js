// The event stream: read, resumed where it broke, and known to be dead when it is silent.

import { pace } from './pace.js'

const SILENT_MS = 15_000
const RETRY_MS = 500
const RETRY_MOST_MS = 8_000

/**
 * Reads server-sent events for ever. `heard(kind, data)` gets each, and the next one when it is done; `turned({ up, sinceMs, reason })` is told
 * when the connection is lost and when it is back.
 */
export class Stream {
  #url
  #heard
  #turned
  #lastId = null
  #retryMs = RETRY_MS
  #abort = null
  #wake = null
  up = false
  sinceMs = Date.now()
  heardMs = Date.now()

  constructor(url, { heard, turned }) {
    this.#url = url
    this.#heard = heard
    this.#turned = turned
    addEventListener('online', () => this.#wake?.())
    addEventListener('offline', () => this.#abort?.abort(new Error('this device is offline')))
  }

  async run() {
    for (;;) {
      try {
        await this.#read()
        this.#lost('the task has ended it')
      } catch (error) {
        this.#lost(error.message || 'the connection broke')
      }
      await this.#rest()
    }
  }

  async #read() {
    this.#abort = new AbortController()
    const headers = this.#lastId ? { 'last-event-id': this.#lastId } : {}
    const answer = await this.#within(fetch(this.#url, { headers, cache: 'no-store', signal: this.#abort.signal }))
    if (!answer.ok) throw new Error(await reasonOf(answer))
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
    let rest = ''
    for (;;) {
      const { value, done } = await this.#within(reader.read())
      if (done) return
      this.#alive()
      const blocks = (rest + value).split('\n\n')
      rest = blocks.pop()
      for (const block of blocks) {
        await pace()
        await this.#take(block)
      }
    }
  }

  /** What `promise` gives; when that takes too long the connection is given up. */
  async #within(promise) {
    const abort = this.#abort
    const timer = setTimeout(() => abort.abort(new Error('nothing was heard')), SILENT_MS)
    try {
      return await promise
    } finally {
      clearTimeout(timer)
    }
  }

  #alive() {
    this.heardMs = Date.now()
    if (this.up) return
    this.#retryMs = RETRY_MS
    this.#turn(true, '')
  }

  #lost(reason) {
    if (this.up) this.#turn(false, reason)
    else this.#turned(this)
  }

  #turn(up, reason) {
    this.up = up
    this.reason = reason
    this.sinceMs = up ? Date.now() : this.heardMs
    this.#turned(this)
  }

  async #take(block) {
    const fields = {}
    for (const line of block.split('\n')) {
      const colon = line.indexOf(':')
      if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2)
    }
    if (!fields.data) return
    this.#lastId = fields.id
    await this.#heard(fields.event, JSON.parse(fields.data))
  }

  async #rest() {
    const restMs = this.#retryMs * (0.5 + Math.random() / 2)
    this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MOST_MS)
    await new Promise((resolve) => {
      this.#wake = resolve
      setTimeout(resolve, restMs)
    })
  }
}

async function reasonOf(answer) {
  const problem = await answer.json().catch(() => ({}))
  return problem.detail || `the task answers ${answer.status}`
}
