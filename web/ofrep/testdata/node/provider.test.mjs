// Evaluates the flags of a running Biocore as a tenant's applications do: with OpenFeature's SDKs for Node and for browsers, and the
// community's OFREP providers. TestOFREPOnNode makes the flags, says in the environment where they are, and reads the outcome.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import test from 'node:test'

import { ErrorCode, OpenFeature as Server } from '@openfeature/server-sdk'
import { OFREPProvider } from '@openfeature/ofrep-provider'
import { OpenFeature as Web, ProviderEvents } from '@openfeature/web-sdk'
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider'

const given = JSON.parse(await readFile(process.env.OFREP_TEST, 'utf8'))
const bearer = (key) => [['Authorization', `Bearer ${key}`]]

/** A client of the OFREP provider for servers. Each has a domain of its own. */
let domains = 0
async function server(key, base = '') {
  const domain = `server-${++domains}`
  await Server.setProviderAndWait(domain, new OFREPProvider({ baseUrl: given.url + base, headers: bearer(key) }))
  return Server.getClient(domain)
}

/** A fetch as of a page of the tenant's, and the statuses that it has seen. */
function page(origin) {
  const seen = []
  let wake = () => {}
  return {
    seen,
    /** Waits until there are so many. */
    async until(count) {
      while (seen.length < count) await new Promise((resolve) => { wake = resolve })
    },
    fetch: async (input, init) => {
      const request = new Request(input, init)
      request.headers.set('Origin', origin)
      const answer = await fetch(request)
      seen.push(answer.status)
      wake()
      return answer
    },
  }
}

const ana = { targetingKey: 'u-1001', country: 'NO', amount: 18400 }

test('each type has its value', async () => {
  const client = await server(given.key)
  const on = await client.getBooleanDetails('matching', false, ana)
  assert.equal(on.value, true)
  assert.equal(on.variant, 'on')
  assert.equal(on.reason, 'TARGETING_MATCH')
  assert.equal(await client.getStringValue('greeting', '-', ana), 'hei')
  assert.equal(await client.getNumberValue('limit', 0, ana), 12.5)
  assert.deepEqual(await client.getObjectValue('theme', {}, ana), { size: 2.5, dark: true, list: [1, 'two', null] })
})

test('rules decide by the context', async () => {
  const client = await server(given.key)
  for (const [context, value, reason] of [
    [{ targetingKey: 'u', amount: 10001 }, true, 'TARGETING_MATCH'],
    [{ targetingKey: 'u', amount: 10000 }, false, 'DEFAULT'],
    [{ targetingKey: 'u', amount: '18400' }, false, 'DEFAULT'],
    [{}, false, 'DEFAULT'],
  ]) {
    const got = await client.getBooleanDetails('matching', true, context)
    assert.equal(got.value, value, JSON.stringify(context))
    assert.equal(got.reason, reason, JSON.stringify(context))
  }
  assert.equal(await client.getStringValue('greeting', '-', { targetingKey: 'u', country: 'DE' }), 'hello')
})

test('a rollout deals subjects as the server says it does', async () => {
  const client = await server(given.key)
  const dealt = {}
  for (const [subject, variant] of Object.entries(given.why)) {
    const got = await client.getStringDetails('half', '-', { targetingKey: subject })
    assert.equal(got.variant, variant, subject)
    assert.equal(got.reason, 'SPLIT')
    dealt[got.value] = (dealt[got.value] ?? 0) + 1
  }
  assert.deepEqual(Object.keys(dealt).sort(), ['left', 'right'])
})

test('a flag that is off says what it is to say', async () => {
  const got = await (await server(given.key)).getBooleanDetails('dark', true, ana)
  assert.equal(got.value, false)
  assert.equal(got.reason, 'STATIC')
  assert.equal(got.flagMetadata.enabled, false)
})

test('another environment is another base URL', async () => {
  assert.equal(await (await server(given.key, '/flags/staging')).getStringValue('greeting', '-', ana), 'hello')
})

test('what cannot be evaluated is the default, with the reason why', async () => {
  const client = await server(given.key)
  for (const [name, got, code] of [
    ['no such flag', await client.getBooleanDetails('none', true, ana), ErrorCode.FLAG_NOT_FOUND],
    ['another type', await client.getBooleanDetails('greeting', true, ana), ErrorCode.TYPE_MISMATCH],
    ['a rollout of nobody', await client.getStringDetails('half', '-', {}), ErrorCode.TARGETING_KEY_MISSING],
    ['no key', await (await server('')).getBooleanDetails('matching', true, ana), ErrorCode.GENERAL],
    ['a wrong key', await (await server('bk_test_wrong')).getBooleanDetails('matching', true, ana), ErrorCode.GENERAL],
    ["another tenant's", await (await server(given.otherKey)).getStringDetails('greeting', '-', ana), ErrorCode.FLAG_NOT_FOUND],
  ]) {
    assert.equal(got.errorCode, code, name)
    assert.equal(got.reason, 'ERROR', name)
    assert.ok(got.value === true || got.value === '-', name)
  }
})

test('a page polls by ETag and sees a change', async () => {
  const at = page(given.origin)
  await Web.setContext(ana)
  const provider = new OFREPWebProvider({ baseUrl: given.url, headers: bearer(given.publishable), pollInterval: 20, cacheMode: 'disabled', fetchImplementation: at.fetch })
  await Web.setProviderAndWait(provider)
  const client = Web.getClient()
  assert.equal(client.getBooleanValue('matching', false), true)
  assert.deepEqual(Object.keys(provider.flagCache), ['matching']) // what is client-visible, and nothing else
  assert.equal(client.getStringDetails('greeting', '-').errorCode, ErrorCode.FLAG_NOT_FOUND)
  assert.equal(client.getStringDetails('matching', '-').errorCode, ErrorCode.TYPE_MISMATCH)
  await at.until(4)
  assert.deepEqual(at.seen.slice(0, 4), [200, 304, 304, 304])

  const changed = new Promise((resolve) => client.addHandler(ProviderEvents.ConfigurationChanged, resolve))
  const off = await fetch(`${given.url}/admin/v1/flags/matching`, {
    method: 'PATCH', headers: { ...Object.fromEntries(bearer(given.key)), 'Content-Type': 'application/json' }, body: JSON.stringify({ enabled: false, reason: 'a test' }),
  })
  assert.equal(off.status, 200)
  assert.deepEqual((await changed).flagsChanged, ['matching'])
  assert.equal(client.getBooleanValue('matching', true), false)
  const after = at.seen.length
  await at.until(after + 2)
  assert.deepEqual(at.seen.slice(after, after + 2), [304, 304])

  // Another context is another answer.
  const before = at.seen.length
  await Web.setContext({ targetingKey: 'u-1002' })
  assert.ok(at.seen.slice(before).includes(200))
  await Web.close()
})

test('a page of another origin has nothing', async () => {
  const at = page('https://evil.example')
  await assert.rejects(Web.setProviderAndWait('evil', new OFREPWebProvider({ baseUrl: given.url, headers: bearer(given.publishable), cacheMode: 'disabled', fetchImplementation: at.fetch })))
  assert.deepEqual(at.seen, [403])
  await Web.close()
  await Server.close()
})
