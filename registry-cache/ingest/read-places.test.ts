import { expect } from 'chai'
import { createReadPlaces, type ReadPlaces } from './read-places.ts'

const { signal } = new AbortController()
const turn = () => new Promise((resolve) => setImmediate(resolve))

/** Asks for `count` places; what runs is ended by `end`. */
function crowd(places: ReadPlaces, host: string, count: number) {
  const ends: (() => void)[] = []
  for (let index = 0; index < count; index += 1) {
    const { promise, resolve } = Promise.withResolvers<void>()
    void places.run(
      host,
      async () => {
        ends.push(resolve)
        await promise
      },
      signal,
    )
  }
  const end = (): void => {
    for (const one of ends.splice(0)) one()
  }
  return { running: () => ends.length, end }
}

describe('ingest/read-places', () => {
  it('leaves room for hosts that come later, however many reads one host wants', async () => {
    const places = createReadPlaces({ placesMax: 12 })
    const crowds = ['a', 'b', 'c', 'd'].map((host) => crowd(places, host, 30))
    await turn()
    expect(crowds.map((one) => one.running())).to.deep.equal([6, 3, 2, 1])
  })

  it('gives what is freed to the host that has least', async () => {
    const places = createReadPlaces({ placesMax: 12 })
    const first = crowd(places, 'a', 7)
    const second = crowd(places, 'b', 30)
    const third = crowd(places, 'c', 30)
    await turn()
    first.end()
    await turn()
    expect([first.running(), second.running(), third.running()]).to.deep.equal([1, 4, 4])
  })

  it('has one place for each in turn when there is only one', async () => {
    const places = createReadPlaces({ placesMax: 1 })
    const done: number[] = []
    await Promise.all([1, 2, 3].map((n) => places.run('a', async () => done.push(n), signal)))
    expect(done).to.deep.equal([1, 2, 3])
  })

  it('frees the place of work that failed, and forgets who leaves the queue', async () => {
    const places = createReadPlaces({ placesMax: 1 })
    const held = crowd(places, 'a', 1)
    const leaver = new AbortController()
    const left = places.run('b', async () => expect.fail('it had left'), leaver.signal)
    expect(places.othersWait('a')).to.equal(true)
    expect(places.othersWait('b')).to.equal(false)
    leaver.abort(new Error('gone'))
    expect(await left.catch((error: Error) => error.message)).to.equal('gone')
    expect(places.othersWait('a')).to.equal(false)
    held.end()
    const fails = places.run('a', () => Promise.reject(new Error('no')), signal)
    expect(await fails.catch((error: Error) => error.message)).to.equal('no')
    expect(await places.run('a', async () => 7, signal)).to.equal(7)
  })
})
