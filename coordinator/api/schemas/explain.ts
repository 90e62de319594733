/** What `GET …/containers/{name}/explain` answers: Potluck's own, SaladCloud has no such path. */
import Type, { type Static } from 'typebox'

const count = Type.Integer({ minimum: 0 })

const scored = {
  machine_id: Type.String({ format: 'uuid' }),
  score: Type.Number({ description: 'The sum of the parts.' }),
  parts: Type.Record(Type.String(), Type.Number(), {
    description: 'spread, image, reliability, room, gpu, link',
  }),
}

export const ExplanationSchema = Type.Object(
  {
    summary: Type.String(),
    replicas: count,
    placed: Type.Array(Type.Object({ slot: count, ...scored }), {
      description: 'Where replicas are, scored as their nodes stand now.',
    }),
    waiting_seconds: Type.Union([count, Type.Null()], {
      description: 'How long replicas have waited for room; null: none waits.',
    }),
    nodes_considered: count,
    nodes_fitting: count,
    removed: Type.Array(Type.Object({ reason: Type.String(), nodes: count }), {
      description: 'How many nodes each filter removed; a node counts under its first.',
    }),
    help: Type.Array(Type.Object({ reason: Type.String(), nodes: count, text: Type.String() }), {
      description: 'Filters that alone keep nodes out, and what helps.',
    }),
    best: Type.Array(Type.Object(scored), { description: 'Where the next replica would go.' }),
  },
  { title: 'PlacementExplanation' },
)
export type ExplanationJson = Static<typeof ExplanationSchema>
