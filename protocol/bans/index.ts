/** How ban lists travel beside the control stream: gossip of what changed, and whole lists on request. */
export { joinBanTopic, type NewsVerdict, publishBanNews } from './ban-topic.ts'
export { fetchBans } from './fetch-bans.ts'
export { serveBans } from './serve-bans.ts'
