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
      const text = body.toString()
      void parse(request, text, (error, value) => {
        if (error) return done(new RequestInvalidError({ body: ['is not valid JSON'] }), undefined)
        if (surrogate.test(text) && holdsHalfCharacter(value)) {
          const problem = 'holds a text with half of a surrogate pair, which is no Unicode'
          return done(new RequestInvalidError({ body: [problem] }), undefined)
        }
        done(null, value)
      })
    })
  }
}

/** Half a character can only be written as an escape: most bodies need no second look. */
const surrogate = /\\u[dD][89a-fA-F]/

/** No store and no wire of ours takes such a text (RFC 7493, section 2.1, forbids it too). */
function holdsHalfCharacter(value: unknown): boolean {
  const left = [value]
  for (let at = left.pop(); at !== undefined; at = left.pop()) {
    if (typeof at === 'string' && !at.isWellFormed()) return true
    // `undefined` would end the walk, and JSON has none.
    if (typeof at === 'object' && at !== null) {
      for (const [name, item] of Object.entries(at)) left.push(name, item)
    }
  }
  return false
}
