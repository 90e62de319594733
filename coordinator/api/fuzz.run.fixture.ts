/** One fuzz of the API: requests of every kind against one coordinator after the other. */
import { expect } from 'chai'
import fc from 'fast-check'
import type { PeerId, SlotId } from '../../protocol/ids.ts'
import { type OpenApi, takeBroken } from './answers.fixture.ts'
import { fakeInstance, groupBody, startApi, type TestApi } from './api.fixture.ts'
import { type FuzzRequest, requestsOf } from './fuzz.fixture.ts'

const catalogue = [
  {
    ...{ name: 'transcribe', queue: 'acme/web/work', display_name: 'Transcribe' },
    ...{ description: '', icon_url: 'https://icons.example/1.png', input_schema: '{}' },
    ...{ output_schema: '{}', price_description: 'free', readme: 'Send a URL.' },
  },
]

const claimedNode = '12D3KooWGRUyUmLcYH9LPiJwjkWBNBVdQdzBq3VLUsrPBBuX4yqK' as PeerId

const bannedPeer = '12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8' as PeerId
const heldGroup = '00000000-0000-4000-8000-0000000000fb'

const path = '/organizations/acme/projects/web'
const names = {
  organization_name: ['acme'],
  project_name: ['web'],
  // Several, because some are deleted on the way.
  container_group_name: ['hello', 'first', 'second', 'third', 'fourth'],
  container_group_instance_id: [fakeInstance(0).id],
  queue_name: ['work', 'spare'],
  inference_endpoint_name: ['transcribe'],
  // Of the admin API.
  organization: ['acme', 'initech', 'umbrella', 'hooli'],
  project: ['web', 'spare'],
  user: ['anna', 'bert', 'cara', 'dora'],
  chef: ['alice', 'bob', 'carol', 'dave'],
  node: [claimedNode],
  peer: [bannedPeer],
  group: [heldGroup],
}

type Filled = Readonly<{
  api: TestApi
  /** Ids that the coordinator gave, by what stands for them. */
  ids: ReadonlyMap<string, string>
}>

/** With a group that has an instance, a queue and a job in it. */
async function startFilled(): Promise<Filled> {
  const api = await startApi({ catalogue })
  api.view.placement = {
    ...{ summary: 'no node fits now', waitedMs: 1_000, nodesConsidered: 1, nodesFitting: 0 },
    ...{ removed: [{ reason: 'away', nodes: 1 }], help: [], best: [], placed: [] },
  }
  await api.call('POST', `${path}/queues`, { name: 'work' })
  await api.call('POST', `${path}/queues`, { name: 'spare' })
  const jobs = await api.call('POST', `${path}/queues/work/jobs`, { input: 1 })
  const theirs = '/organizations/acme/inference-endpoints/transcribe/jobs'
  const endpointJobs = await api.call('POST', theirs, { input: 1 })
  for (const name of names.container_group_name) {
    const networking = { auth: false, port: 80, protocol: 'http' }
    const body = groupBody({ name, replicas: 1, networking })
    const made = await api.call('POST', `${path}/containers`, body)
    api.view.running.set(made.json().id, [fakeInstance(0)])
  }
  const ids = new Map([
    [jobPlaceholder, jobs.json().id],
    [endpointJobPlaceholder, endpointJobs.json().id],
    ...(await fillAdmin(api)),
  ])
  return { api, ids }
}

async function fillAdmin(api: TestApi): Promise<readonly (readonly [string, string])[]> {
  for (const name of ['initech', 'umbrella', 'hooli']) {
    await api.admin('POST', '/organizations', { name })
  }
  await api.admin('POST', '/organizations/acme/projects', { name: 'spare' })
  for (const name of names.user) {
    await api.admin('POST', '/users', { name })
    await api.admin('PUT', `/organizations/acme/members/${name}`, { role: 'viewer' })
  }
  for (const name of names.chef) await api.admin('POST', '/chefs', { name })
  const binding = await api.admin('POST', '/chefs/alice/claims', {})
  await api.chefs.claim(claimedNode, binding.json().code, 'home')
  await api.admin('POST', '/bans', { peer: bannedPeer })
  await api.security.take(
    { peer: claimedNode, household: '192.0.2.1' },
    {
      ...{ type: 'security-report', id: heldGroup, seenMs: 1 },
      evidence: {
        ...{ suspect: 'workload', slot: `${heldGroup}/0` as SlotId, sensor: 'falco' },
        ...{ rule: 'a shell', text: 'bash' },
      },
    },
  )
  const claim = await api.admin('POST', '/chefs/bob/claims', {})
  const key = await api.admin('POST', '/organizations/acme/keys', {})
  return [
    [claimPlaceholder, claim.json().id],
    [keyPlaceholder, key.json().id],
  ]
}

/** Jobs are called by what ids the coordinator gave them. */
const jobPlaceholder = '00000000-0000-4000-8000-0000000000fe'
const endpointJobPlaceholder = '00000000-0000-4000-8000-0000000000ff'
const claimPlaceholder = '00000000-0000-4000-8000-0000000000fd'
const keyPlaceholder = '00000000-0000-4000-8000-0000000000fc'

async function send({ api, ids }: Filled, request: FuzzRequest) {
  const { method, url, contentType, body } = request
  return api.app.inject({
    method: method as 'GET',
    url: [...ids].reduce((made, [placeholder, id]) => made.replaceAll(placeholder, id), url),
    headers: {
      'salad-api-key': url.startsWith('/api/admin/') ? api.adminKey : api.key,
      ...(contentType === undefined ? {} : { 'content-type': contentType }),
    },
    ...(body === undefined ? {} : { payload: body }),
  })
}

/** @returns how often each status was seen, by operation. */
export async function fuzz({
  coordinators,
  requests,
}: Readonly<{ coordinators: number; requests: number }>): Promise<
  ReadonlyMap<string, ReadonlyMap<number, number>>
> {
  const { app } = await startApi({ catalogue })
  const document = app.swagger() as unknown as OpenApi
  await app.close()
  const any = requestsOf(document, {
    ...names,
    queue_job_id: [jobPlaceholder],
    inference_endpoint_job_id: [endpointJobPlaceholder],
    claim_id: [claimPlaceholder],
    key_id: [keyPlaceholder],
  })
  const seen = new Map<string, Map<number, number>>()
  await fc.assert(
    fc.asyncProperty(
      fc.array(any, { minLength: requests, maxLength: requests, size: 'max' }),
      async (all) => {
        const filled = await startFilled()
        try {
          for (const request of all) {
            const answer = await send(filled, request)
            const statuses = seen.get(request.id) ?? new Map<number, number>()
            statuses.set(answer.statusCode, (statuses.get(answer.statusCode) ?? 0) + 1)
            seen.set(request.id, statuses)
            const what = `${request.method} ${request.url} ${request.body?.slice(0, 2_000)}`
            expect(answer.statusCode, `${what}\n${answer.body}`).to.be.below(500)
            expect(takeBroken(), what).to.deep.equal([])
          }
        } finally {
          await filled.api.app.close()
        }
      },
    ),
    { numRuns: coordinators, endOnFailure: true },
  )
  return seen
}
