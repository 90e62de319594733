/** What the coordinator says of itself when it is ready, as far as a client needs it. */
import { readFile } from 'node:fs/promises'
import Type from 'typebox'
import { Compile } from 'typebox/compile'
import { PotluckError } from '../../protocol/errors.ts'

const readySchema = Compile(
  Type.Object({
    baseUrl: Type.String(),
    tenants: Type.Array(
      Type.Object({
        organization: Type.String(),
        project: Type.String(),
        apiKeyFile: Type.String(),
      }),
      { minItems: 1 },
    ),
  }),
)

export type CoordinatorFacts = Readonly<{
  baseUrl: string
  apiKey: string
  organization: string
  project: string
}>

/** @throws {PotluckError} it speaks of something else: binary and `dev` are of two versions. */
export async function readCoordinator(ready: unknown): Promise<CoordinatorFacts> {
  const [tenant] = readySchema.Check(ready) ? ready.tenants : []
  if (!readySchema.Check(ready) || !tenant) {
    throw new PotluckError('DEV_NOT_UNDERSTOOD', 'the coordinator is ready but names no tenant')
  }
  const { organization, project, apiKeyFile } = tenant
  const apiKey = (await readFile(apiKeyFile, 'utf8')).trim()
  return { baseUrl: ready.baseUrl, apiKey, organization, project }
}
