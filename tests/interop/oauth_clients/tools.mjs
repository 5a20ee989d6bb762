// What both scripts share: the task on the input, and a fetch that speaks mutual TLS.
import { readFileSync } from 'node:fs'
import { Agent, fetch } from 'undici'

export const task = JSON.parse(readFileSync(0, 'utf8'))

// A fetch that trusts the task's authority, and presents `identity` ({cert, key}, PEM) where one is given.
export function fetchAs(identity = {}) {
  const dispatcher = new Agent({ connect: { ca: task.ca, ...identity } })
  return (url, options) => fetch(url, { ...options, dispatcher })
}

export async function assertionKey(jwk) {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' }
  return crypto.subtle.importKey('jwk', jwk, algorithm, false, ['sign'])
}

export function report(answer) {
  process.stdout.write(JSON.stringify(answer))
  process.exit(0)
}
