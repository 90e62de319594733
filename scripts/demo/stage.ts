/** What every act of the demo has at hand. */

import type { Image } from '../image/index.ts'
import type { RunFolder } from '../street/index.ts'
import type { DemoNetwork } from './network.ts'
import type { Record } from './record.ts'
import type { Screen } from './screen.ts'
import type { Tenant } from './tenant.ts'

export type Stage = Readonly<{
  run: RunFolder
  network: DemoNetwork
  tenant: Tenant
  image: Image
  record: Record
  screen: Screen
  signal: AbortSignal
}>
