/**
 * Bodies: JSON, and merge-patch JSON. Parsed here, because the errors of JSON.parse quote the text,
 * which may be a password, and because clients send `Content-Type: application/json` with no body
 * where the contract has none.
 */
import type { FastifyInstance } from 'fastify'
import { RequestInvalidError } from './errors.ts'

export const mergePatchMediaType = 'application/merge-patch+json'

export function parseJsonBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error') // Refuses __proto__.
  app.removeContentTypeParser(['application/json', 'text/plain'])
  for (const mediaType of ['application/json', mergePatchMediaType]) {
    app.addContentTypeParser(mediaType, { parseAs: 'string' }, (request, body, done) => {
      if (body.length === 0) return done(null, undefined)
      void parse(request, body.toString(), (error, value) => {
        done(error ? new RequestInvalidError({ body: ['is not valid JSON'] }) : null, value)
      })
    })
  }
}
