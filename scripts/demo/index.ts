/** `npm run demo`: the main job, shown on real parts. */
export { type DemoOptions, readOptions } from './options.ts'
export type { Figures, Record } from './record.ts'
export { missingOf } from './requirements.ts'
export { runDemo } from './run-demo.ts'
export { createScreen } from './screen.ts'
