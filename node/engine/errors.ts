/**
 * What an engine may fail with. The codes are what the daemon decides on: some are the tenant's
 * doing (a command that does not exist), some the chef's (no GPU toolkit), some the engine's.
 */
import { PotluckError, type PotluckErrorInit } from '../../protocol/errors.ts'

export type EngineErrorCode =
  /** The engine's socket does not answer, or not in time: try later. */
  | 'ENGINE_UNREACHABLE'
  /** The engine answered with an error that none of the other codes describes. */
  | 'ENGINE_REFUSED'
  /** The engine answered something that is not what its API promises. */
  | 'ENGINE_BAD_ANSWER'
  /** An engine of our own did not come up, or keeps Env where it must not. */
  | 'ENGINE_START_FAILED'
  | 'PULL_FAILED'
  | 'LOAD_FAILED'
  /** The engine's disk has no room for an image and the archive that it comes in. */
  | 'ENGINE_DISK_SHORT'
  /** The image is not in the engine's store. */
  | 'IMAGE_MISSING'
  /** No such container, or it was removed while we waited. */
  | 'CONTAINER_GONE'
  /** The instance exists under another fence. */
  | 'CONTAINER_CONFLICT'
  /** The image cannot be started as asked: no such command, not executable. */
  | 'CONTAINER_START_FAILED'
  | 'GPU_UNAVAILABLE'
  | 'ENV_NOT_ALLOWED'
  | 'ISOLATION_FAILED'

/** A fault of the engine, of what it was asked to run, or of the machine below it. */
export class EngineError extends PotluckError {
  declare readonly code: EngineErrorCode

  // The narrower type of `code` is this constructor's whole purpose.
  constructor(code: EngineErrorCode, message: string, init: PotluckErrorInit = {}) {
    super(code, message, init)
  }
}
