/** The version of this software, as peers tell it to the coordinator. */
import { readFileSync } from 'node:fs'

/** Of the package that this file belongs to. */
export function softwareVersion(): string {
  const url = new URL('../../package.json', import.meta.url)
  const { version } = JSON.parse(readFileSync(url, 'utf8')) as { version: string }
  return version
}
