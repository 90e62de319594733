import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { createEndpoints, readEndpoints } from './index.ts'

const entry = {
  ...{ name: 'transcribe', queue: 'acme/web/work', display_name: 'Transcribe' },
  ...{ description: '', icon_url: 'https://icons.example/1.png', input_schema: '{}' },
  ...{ output_schema: '{}', price_description: 'free', readme: 'Send a URL.' },
}

describe('coordinator/endpoints', () => {
  it('lists by name, under ids that stay', () => {
    const endpoints = createEndpoints([entry, { ...entry, name: 'describe' }])
    expect(endpoints.list().map(({ name }) => name)).to.deep.equal(['describe', 'transcribe'])
    const { id, organization, project, queueName } = endpoints.get('transcribe')
    expect(id).to.equal(createEndpoints([entry]).get('transcribe').id)
    expect(id).to.match(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect([organization, project, queueName]).to.deep.equal(['acme', 'web', 'work'])
    expect(() => endpoints.get('nope'))
      .to.throw(Error)
      .with.property('code', 'ENDPOINT_NOT_FOUND')
  })

  it('says what is wrong with the file, and is empty without one', async () => {
    expect((await readEndpoints(undefined)).list()).to.deep.equal([])
    const folder = await mkdtemp(join(tmpdir(), 'potluck-endpoints-'))
    try {
      const file = join(folder, 'endpoints.json')
      const wrong = [
        '{',
        '{}',
        JSON.stringify([entry, entry]),
        JSON.stringify([{ ...entry, queue: 'acme/work' }]),
        JSON.stringify([{ ...entry, icon: '' }]),
      ]
      for (const text of wrong) {
        await writeFile(file, text)
        const error = await readEndpoints(file).catch((reason: unknown) => reason)
        expect(error, text).to.have.property('code', 'CATALOGUE_INVALID')
        expect(String(error)).to.contain(file)
      }
      await writeFile(file, JSON.stringify([entry]))
      expect((await readEndpoints(file)).list()).to.have.length(1)
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
