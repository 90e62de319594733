/**
 * Potluck's own OpenAPI, made from the schemas that requests are checked by: who reads `/docs` reads
 * what is enforced. What routes leave unsaid is said here once: errors are problem+json, and any
 * request may end in one that its route does not list.
 */
import type { SwaggerTransform } from '@fastify/swagger'
import type { FastifySchema } from 'fastify'
import { ProblemSchema, problemMediaType, titleOf } from './problems.ts'

export const openapiInfo = {
  openapi: '3.1.0',
  info: {
    title: 'Potluck',
    version: '0.1.0',
    description: 'Container groups on the machines of chefs. Clients of SaladCloud work unchanged.',
  },
  servers: [{ url: '/' }],
  components: {
    securitySchemes: {
      ApiKeyAuth: { type: 'apiKey' as const, in: 'header' as const, name: 'Salad-Api-Key' },
      Bearer: { type: 'http' as const, scheme: 'bearer' },
    },
  },
  security: [{ ApiKeyAuth: [] }, { Bearer: [] }],
}

type Documented = FastifySchema & Readonly<{ produces?: readonly string[] }>

const problem = (description: string) => ({
  description,
  content: { [problemMediaType]: { schema: ProblemSchema } },
})

/** Media types and the `default` answer of every route. */
export const documentAnswers: SwaggerTransform<Documented> = ({ schema, url }) => {
  const responses = Object.entries((schema.response ?? {}) as Readonly<Record<string, object>>)
  if (responses.length === 0) return { schema, url }
  const mediaType = schema.produces?.[0] ?? 'application/json'
  const documented = responses.map(([status, answer]): [string, object] => {
    const description = titleOf(Number(status))
    if (answer === ProblemSchema) return [status, problem(description)]
    if ('type' in answer && answer.type === 'null') return [status, answer]
    return [status, { description, content: { [mediaType]: { schema: answer } } }]
  })
  const { produces: _, ...rest } = schema
  const response = { ...Object.fromEntries(documented), default: problem('Any other failure') }
  return { schema: { ...rest, response } as FastifySchema, url }
}
