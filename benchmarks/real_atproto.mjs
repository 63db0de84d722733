// Bring up a whole network of AT Protocol on loopback, fill it, say in one line of JSON what was put in, and keep it up
// until standard input closes: node real_atproto.mjs SIZE DIRECTORY, where the pictures are and the modules.
import { createHash } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { Server } from 'node:net'
import path from 'node:path'

// Its servers listen on all addresses; here they listen on loopback alone.
const listen = Server.prototype.listen
Server.prototype.listen = function (...given) {
  if (typeof given[0] === 'number') {
    const rest = typeof given[1] === 'string' ? given.slice(2) : given.slice(1)
    return listen.call(this, given[0], '127.0.0.1', ...rest)
  }
  if (given[0] && typeof given[0] === 'object' && 'port' in given[0]) given[0] = { ...given[0], host: '127.0.0.1' }
  return listen.apply(this, given)
}

const { TestNetwork } = await import('@atproto/dev-env')
const [size, directory] = [Number(process.argv[2]), process.argv[3]]
const PEOPLE = 14
const OUT = { 3: 'takendown', 5: 'deactivated', 7: 'closed', 9: 'deleted' }

const network = await TestNetwork.create({})
const agent = network.pds.getAgent()
const files = readdirSync(path.join(directory, 'files')).sort()
const truth = { accounts: [], records: [], blobs: [] }
const people = []
let taken = 0

async function upload(person, isPublic, film = false) {
  const wanted = files.filter((name) => name.startsWith(isPublic ? (film ? 'film' : 'public') : 'PRIVATE'))
  const data = readFileSync(path.join(directory, 'files', wanted[taken++ % wanted.length]))
  const said = await agent.com.atproto.repo.uploadBlob(data, {
    encoding: film ? 'video/mp4' : 'image/jpeg',
    headers: person.headers,
  })
  const blob = said.data.blob
  const sha256 = createHash('sha256').update(data).digest('hex')
  truth.blobs.push({ did: person.did, cid: blob.ref.toString(), sha256, public: isPublic })
  return blob
}

async function write(person, collection, record, isPublic, rkey) {
  const { data } = await agent.com.atproto.repo.createRecord(
    { repo: person.did, collection, rkey, record: { $type: collection, createdAt: new Date().toISOString(), ...record } },
    { headers: person.headers, encoding: 'application/json' },
  )
  truth.records.push({ uri: data.uri, cid: data.cid, collection, public: isPublic })
  return { uri: data.uri, cid: data.cid }
}

for (let number = 0; number < PEOPLE; number++) {
  const { data } = await agent.com.atproto.server.createAccount({
    handle: `heron${number}.test`,
    email: `heron${number}@test.example`,
    password: 'tea',
  })
  const status = OUT[number] ?? ''
  const person = { did: data.did, status, headers: { authorization: `Bearer ${data.accessJwt}` } }
  const isPublic = !status
  people.push(person)
  truth.accounts.push({ did: data.did, handle: data.handle, status, public: isPublic })
  if (number !== 11) {
    const labels = {
      $type: 'com.atproto.label.defs#selfLabels',
      values: status === 'closed' ? [{ val: '!no-unauthenticated' }] : [],
    }
    const description = isPublic ? 'tea and rain' : 'PRIVATE'
    const avatar = await upload(person, isPublic)
    await write(person, 'app.bsky.actor.profile', { displayName: 'A heron', description, avatar, labels }, isPublic, 'self')
  }
}

const said = []
for (let number = 0; number < size; number++) {
  const person = people[number % 2 ? 0 : (number / 2) % PEOPLE]
  const isPublic = !person.status
  const record = { text: isPublic ? `tea ${number}` : `PRIVATE ${number}` }
  if (number % 3 === 1 && said.length) record.reply = { root: said[0], parent: said[said.length - 1] }
  if (number % 7 === 3) {
    const video = await upload(person, isPublic, isPublic)
    if (isPublic) record.embed = { $type: 'app.bsky.embed.video', video }
    else record.embed = { $type: 'app.bsky.embed.images', images: [{ image: video, alt: '' }] }
  } else if (number % 5 === 4 && said.length) {
    const images = [{ image: await upload(person, isPublic), alt: 'a heron' }]
    const media = { $type: 'app.bsky.embed.images', images }
    const quoted = { $type: 'app.bsky.embed.record', record: said[0] }
    record.embed = { $type: 'app.bsky.embed.recordWithMedia', record: quoted, media }
  } else if (number % 2) {
    const images = []
    for (let n = 0; n <= number % 4; n++) images.push({ image: await upload(person, isPublic), alt: 'a heron' })
    record.embed = { $type: 'app.bsky.embed.images', images }
  }
  const reference = await write(person, 'app.bsky.feed.post', record, isPublic)
  if (number % 6 === 0) await write(person, 'app.bsky.feed.like', { subject: reference }, isPublic)
  if (number % 8 === 2 && said.length) await write(person, 'app.bsky.feed.repost', { subject: said.at(-1) }, isPublic)
  if (isPublic) said.push(reference)
}

// What was said and taken back, with its picture.
for (const person of people.filter((one) => !one.status).slice(0, 4)) {
  const image = await upload(person, false)
  const embed = { $type: 'app.bsky.embed.images', images: [{ image, alt: 'PRIVATE' }] }
  const { uri } = await write(person, 'app.bsky.feed.post', { text: 'PRIVATE, taken back', embed }, false)
  const rkey = uri.split('/').pop()
  await agent.com.atproto.repo.deleteRecord(
    { repo: person.did, collection: 'app.bsky.feed.post', rkey },
    { headers: person.headers, encoding: 'application/json' },
  )
}
const admin = { headers: network.pds.adminAuthHeaders(), encoding: 'application/json' }
for (const person of people) {
  if (person.status === 'takendown') {
    const subject = { $type: 'com.atproto.admin.defs#repoRef', did: person.did }
    await agent.com.atproto.admin.updateSubjectStatus({ subject, takedown: { applied: true, ref: 'tea' } }, admin)
  } else if (person.status === 'deactivated') {
    const own = { headers: person.headers, encoding: 'application/json' }
    await agent.com.atproto.server.deactivateAccount({}, own)
  } else if (person.status === 'deleted') {
    await agent.com.atproto.admin.deleteAccount({ did: person.did }, admin)
  }
}
await network.processAll(60_000)

// What the app view, which heard of all of it, counts.
const view = network.bsky.getAgent()
for (const account of truth.accounts.filter((one) => one.public)) {
  const { data } = await view.app.bsky.actor.getProfile({ actor: account.did })
  account.count = data.postsCount
}

truth.pds = `127.0.0.1:${network.pds.port}`
truth.view = `127.0.0.1:${network.bsky.port}`
console.log(`TRUTH ${JSON.stringify(truth)}`)
process.stdin.resume()
process.stdin.on('end', async () => {
  await network.close().catch(() => undefined)
  process.exit(0)
})
