/**
 * The plot of the README, drawn anew from recorded figures: how long the last of N homes waits for
 * an image by Potluck, by BitTorrent, straight from the registry, and at best.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { parse, View } from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'
import { defineBench } from '../bench.ts'

const RecordSchema = Type.Object({
  /** When and on what it was measured, in words. */
  measured: Type.String(),
  seedUpMbits: Type.Number(),
  runs: Type.Array(
    Type.Object({
      homes: Type.Integer(),
      bytes: Type.Integer(),
      boundS: Type.Number(),
      lastS: Type.Number(),
      aria2LastS: Type.Number(),
    }),
    { minItems: 1 },
  ),
})
type Recorded = Static<typeof RecordSchema>
const recordCheck = Compile(RecordSchema)

const recorded = fileURLToPath(new URL('swarm.json', import.meta.url))
const picture = fileURLToPath(new URL('../../../docs/swarm.svg', import.meta.url))

export const plot = defineBench({
  summary: 'draws the README’s plot from the recorded figures of `swarm`',
  options: {},
  async run(_, tell) {
    const figures = recordCheck.Parse(JSON.parse(await readFile(recorded, 'utf8')))
    const view = new View(parse(compile(specOf(figures)).spec), { renderer: 'none' })
    await writeFile(picture, `${await view.toSVG()}\n`)
    view.finalize()
    tell(picture)
    return { runs: figures.runs.length }
  },
})

/** Straight from the registry, every home reads all of it over the one uplink. */
function specOf({ runs, seedUpMbits }: Recorded): TopLevelSpec {
  const values = runs.flatMap(({ homes, bytes, boundS, lastS, aria2LastS }) => [
    {
      homes,
      way: 'straight from the registry, at best',
      s: (homes * bytes * 8) / 1e6 / seedUpMbits,
    },
    { homes, way: 'aria2 (BitTorrent)', s: aria2LastS },
    { homes, way: 'Potluck', s: lastS },
    { homes, way: 'lower bound', s: boundS },
  ])
  const order = [...new Set(values.map(({ way }) => way))]
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    width: 480,
    height: 300,
    background: 'white',
    data: { values },
    mark: { type: 'line', point: true },
    encoding: {
      x: { field: 'homes', type: 'quantitative', title: 'homes', scale: { type: 'log', base: 2 } },
      y: {
        field: 's',
        type: 'quantitative',
        title: 'seconds until the last home has it',
        scale: { type: 'log' },
      },
      color: { field: 'way', type: 'nominal', title: null, sort: order },
      strokeDash: { field: 'way', type: 'nominal', title: null, sort: order },
    },
  }
}
