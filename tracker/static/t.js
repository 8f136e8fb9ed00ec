// Sends views, clicks and conversions. What rt() gave an id for is sent under that id until the tracker
// has answered for it, so that it is stored once however often it arrives. How to use it: docs/ways-in.md.
(() => {
  const QUEUE_MAX = 2000, EVENT_MAX_CHARS = 5000
  const BATCH_MAX = 100, BATCH_MAX_CHARS = 20000, LEAVING_MAX = 3 // batches, within keepalive's 64 KB
  const GATHER_MS = 200, FIRST_RETRY_MS = 1000, MOST_RETRY_MS = 60000, TIMEOUT_MS = 10000
  const script = document.currentScript
  const beacon = new URL('beacon', script.src)
  const prefix = `rt:${beacon.host}:`
  const memory = {}, flying = {}
  const called = window.rt && rt.q || []
  let timer, failures = 0, notBefore = 0, lastKey = 0

  // One entry for each event, so that no tab rewrites what another one queued. What the storage does
  // not take, since it is full or forbidden, is kept in memory.
  const storage = () => {
    try { return window.localStorage || memory } catch { return memory }
  }
  const keys = () => Object.keys({ ...storage(), ...memory }).filter(key => key.startsWith(prefix)).sort()
  const read = key => memory[key] || storage()[key]
  const write = (key, text) => {
    try { storage()[key] = text } catch { memory[key] = text }
  }
  const remove = key => {
    delete memory[key]
    delete storage()[key]
  }

  // A UUIDv7: it begins with the time, which saves the tracker an index of these events.
  const newId = () => {
    const bytes = crypto.getRandomValues(new Uint8Array(10))
    bytes[0] = bytes[0] & 15 | 112
    bytes[2] = bytes[2] & 63 | 128
    const hex = Array.from(bytes, byte => (byte + 256).toString(16).slice(1)).join('')
    return (Date.now().toString(16).padStart(12, 0) + hex).replace(/(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
  }

  const flushIn = ms => {
    clearTimeout(timer)
    timer = setTimeout(flush, Math.max(ms, notBefore - Date.now()))
  }

  // One tab sends at a time, where the browser has locks. The others look again.
  const flush = () => {
    timer = 0
    if (Object.keys(flying).length) return
    if (!navigator.locks) return send()
    navigator.locks.request(prefix, { ifAvailable: true }, lock => {
      if (lock) return send()
      if (keys().length) flushIn(FIRST_RETRY_MS)
    })
  }

  const send = () => {
    let chars = 0
    const batch = keys().filter(key => !flying[key]).slice(0, BATCH_MAX)
      .map(key => [key, read(key)])
      .filter(([, text]) => text && (chars += text.length) <= BATCH_MAX_CHARS)
    if (!batch.length) return
    batch.forEach(([key]) => flying[key] = 1)
    return fetch(beacon, {
      method: 'POST',
      body: `[${batch.map(([, text]) => text)}]`,
      credentials: 'omit',
      keepalive: true,
      signal: AbortSignal.timeout?.(TIMEOUT_MS),
    }).then(async response => {
      const { results } = await response.json()
      if (!response.ok) {
        results?.forEach(({ index }) => remove(batch[index][0]))
        throw response
      }
      batch.forEach(([key]) => remove(key))
      failures = notBefore = 0
      return send()
    }).catch(({ headers }) => {
      const wait = Math.min(MOST_RETRY_MS, FIRST_RETRY_MS * 2 ** failures++) * (1 + Math.random()) / 2
      notBefore = Date.now() + Math.max(wait, (headers?.get('retry-after') || 0) * 1000)
      flushIn(0)
    }).finally(() => batch.forEach(([key]) => delete flying[key]))
  }

  // The last moment that a page is sure to be told of. What is not sent now is sent by the next page.
  const leave = () => {
    for (let sent = 0; sent < LEAVING_MAX && Date.now() >= notBefore; sent++) send()
  }

  // Queues an event. Gives its message id, or nothing where the queue is full or the event too large.
  window.rt = (kind, fields) => {
    const referrer = location.origin + location.pathname
    const event = { kind, messageId: newId(), programId: script.dataset.program, referrer, ...fields }
    const text = JSON.stringify(event)
    if (text.length > EVENT_MAX_CHARS || keys().length >= QUEUE_MAX) return
    lastKey = Math.max(lastKey + 1, Date.now())
    write(prefix + lastKey + event.messageId, text)
    if (!timer) flushIn(GATHER_MS)
    return event.messageId
  }

  addEventListener('pagehide', leave)
  addEventListener('visibilitychange', () => document.hidden ? leave() : flushIn(0))
  addEventListener('pageshow', () => flushIn(0))
  addEventListener('online', () => {
    notBefore = 0
    flushIn(0)
  })
  called.forEach(each => rt(...each))
})()
