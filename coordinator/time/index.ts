/** The coordinator's time. */
export {
  type CoordinatorClock,
  type CoordinatorClockComponents,
  createCoordinatorClock,
} from './coordinator-clock.ts'
