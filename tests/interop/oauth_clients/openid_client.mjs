// npm openid-client, unmodified: the same story through its own interface.
import * as client from 'openid-client'
import { assertionKey, fetchAs, report, task } from './tools.mjs'

async function authenticationOf({ method, secret, jwk }) {
  switch (method) {
    case 'client_secret_basic':
      return client.ClientSecretBasic(secret)
    case 'client_secret_post':
      return client.ClientSecretPost(secret)
    case 'private_key_jwt':
      return client.PrivateKeyJwt(await assertionKey(jwk))
    default:
      return client.TlsClientAuth()
  }
}

async function story(given) {
  const config = await client.discovery(
    new URL(task.issuer),
    given.client_id,
    { use_mtls_endpoint_aliases: given.identity !== undefined },
    await authenticationOf(given),
    { algorithm: given.algorithm ?? 'oidc', [client.customFetch]: fetchAs(given.identity) },
  )
  const DPoP = given.dpop ? client.getDPoPHandle(config, await client.randomDPoPKeyPair()) : undefined
  const token = await client.clientCredentialsGrant(config, { scope: 'read' }, { DPoP })
  const first = await client.tokenIntrospection(config, token.access_token)
  await client.tokenRevocation(config, token.access_token)
  const second = await client.tokenIntrospection(config, token.access_token)
  return { token, first, second }
}

const stories = {}
for (const given of task.clients) stories[given.name] = await story(given)
report({ stories })
