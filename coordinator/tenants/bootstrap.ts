/**
 * The tenants that the configuration names, made to exist at start. A fresh network can be used at
 * once: without any configuration there is an organization `default` with a project `default`, and
 * its key lies in the data folder, as k3s leaves its token.
 */
import { chmod, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from '../../protocol/errors.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { writeNewFile } from '../secrets/index.ts'
import { ApiKeyError } from './errors.ts'
import { makeApiKeyText } from './key-ring.ts'
import type { ApiKeyInfo } from './records.ts'
import type { Tenants } from './tenants.ts'

export type TenantInit = Readonly<{
  organization: string
  project: string
  /** A file with the API key; when there is none, it is made (mode 0600). */
  apiKeyFile: string
}>

/** What a network has when its operator configures no tenants. */
export function defaultTenants(dataDir: string): readonly TenantInit[] {
  const apiKeyFile = join(dataDir, 'api-key')
  return [{ organization: 'default', project: 'default', apiKeyFile }]
}

export type BootstrapInit = Readonly<{
  wanted: readonly TenantInit[]
  /** A file with the first key of the admin API; when there is none, it is made (mode 0600). */
  adminKeyFile?: string | undefined
}>

/**
 * Makes what `wanted` names exist, and ends configured keys that it names no more. Organizations
 * and projects are never removed: groups may run in them.
 * @throws {TenantNameError} @throws {ApiKeyError}
 */
export async function bootstrapTenants(
  { wanted, adminKeyFile }: BootstrapInit,
  { tenants, logger }: { readonly tenants: Tenants; readonly logger: Logger },
): Promise<void> {
  const current = new Set<string>()
  const accept = async (
    file: string,
    take: (key: string, label: string) => Promise<ApiKeyInfo>,
  ): Promise<void> => {
    const key = await readOrMakeKey(file, logger)
    const { id, revokedMs } = await acceptFrom(file, () => take(key, `file ${file}`.slice(0, 200)))
    current.add(id)
    if (revokedMs === undefined) return
    logger.warn({ file }, 'the API key in this file was revoked; delete the file to have a new one')
  }
  for (const { organization, project, apiKeyFile } of wanted) {
    await tenants.ensureProject(organization, project)
    await accept(apiKeyFile, (...key) => tenants.acceptKey(organization, ...key))
  }
  if (adminKeyFile) await accept(adminKeyFile, (...key) => tenants.acceptAdminKey(...key))
  for (const { id, source, label, revokedMs } of tenants.keys()) {
    if (source !== 'config' || revokedMs !== undefined || current.has(id)) continue
    await tenants.forgetKey(id)
    logger.info({ keyId: id, label }, 'API key ended: the configuration names it no more')
  }
}

async function acceptFrom<T>(file: string, accept: () => Promise<T>): Promise<T> {
  try {
    return await accept()
  } catch (error) {
    if (!(error instanceof ApiKeyError)) throw error
    throw new ApiKeyError(error.message.replace(/^API key: /, ''), { file })
  }
}

async function readOrMakeKey(file: string, logger: Logger): Promise<string> {
  try {
    const key = (await readFile(file, 'utf8')).trim()
    const { mode } = await stat(file)
    if ((mode & 0o077) !== 0) {
      logger.warn({ file }, 'API key file was open to other users of this machine; closed it')
      await chmod(file, 0o600)
    }
    return key
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') {
      throw new ApiKeyError('cannot be read; check its owner and permissions', {
        file,
        cause: error,
      })
    }
  }
  const key = makeApiKeyText()
  try {
    await writeNewFile(file, `${key}\n`)
  } catch (error) {
    throw new ApiKeyError('cannot be written; check that its folder may be', { file, cause: error })
  }
  logger.info({ file }, 'API key made')
  return key
}
