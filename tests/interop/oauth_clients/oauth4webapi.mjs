// npm oauth4webapi, unmodified: discovery, client_credentials with each client authentication, introspection,
// revocation, and DPoP with a nonce.
import * as oauth from 'oauth4webapi'
import { assertionKey, fetchAs, report, task } from './tools.mjs'

const issuer = new URL(task.issuer)
const anonymous = { [oauth.customFetch]: fetchAs() }

async function discover(algorithm) {
  const response = await oauth.discoveryRequest(issuer, { algorithm, ...anonymous })
  return oauth.processDiscoveryResponse(issuer, response)
}

async function authenticationOf({ method, secret, jwk }) {
  switch (method) {
    case 'client_secret_basic':
      return oauth.ClientSecretBasic(secret)
    case 'client_secret_post':
      return oauth.ClientSecretPost(secret)
    case 'private_key_jwt':
      return oauth.PrivateKeyJwt(await assertionKey(jwk))
    default:
      return oauth.TlsClientAuth()
  }
}

async function minted(server, client, authentication, options) {
  const parameters = new URLSearchParams({ scope: 'read' })
  const ask = () => oauth.clientCredentialsGrantRequest(server, client, authentication, parameters, options)
  try {
    return { token: await oauth.processClientCredentialsResponse(server, client, await ask()), retried: false }
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    return { token: await oauth.processClientCredentialsResponse(server, client, await ask()), retried: true }
  }
}

async function introspected(server, client, authentication, token, options) {
  const response = await oauth.introspectionRequest(server, client, authentication, token, options)
  return oauth.processIntrospectionResponse(server, client, response)
}

// The same as a JWT (RFC 9701), whose signature is verified with the keys that the metadata name.
async function introspectedSigned(server, client, authentication, token, options) {
  const asked = { ...options, requestJwtResponse: true }
  const response = await oauth.introspectionRequest(server, client, authentication, token, asked)
  const mediaType = response.headers.get('content-type')
  const claims = await oauth.processIntrospectionResponse(server, client, response)
  await oauth.validateApplicationLevelSignature(server, response, options)
  return { mediaType, claims }
}

async function story(server, given) {
  const client = { client_id: given.client_id, use_mtls_endpoint_aliases: given.identity !== undefined }
  const options = { [oauth.customFetch]: fetchAs(given.identity) }
  const authentication = await authenticationOf(given)
  const proven = given.dpop
    ? { ...options, DPoP: oauth.DPoP(client, await oauth.generateKeyPair('ES256')) }
    : options
  const { token, retried } = await minted(server, client, authentication, proven)
  const first = await introspected(server, client, authentication, token.access_token, options)
  const signed = await introspectedSigned(server, client, authentication, token.access_token, options)
  const response = await oauth.revocationRequest(server, client, authentication, token.access_token, options)
  await oauth.processRevocationResponse(response)
  const second = await introspected(server, client, authentication, token.access_token, options)
  const signedSecond = await introspectedSigned(server, client, authentication, token.access_token, options)
  return { token, retried, first, second, signed, signedSecond }
}

async function failure(server, given) {
  try {
    await story(server, given)
  } catch (error) {
    return { name: error.name, error: error.error ?? null, status: error.status, challenge: error.cause?.[0]?.scheme }
  }
  return null
}

const server = await discover('oauth2')
const alternative = await discover('oidc')
const stories = {}
for (const given of task.clients) stories[given.name] = await story(server, given)
const failures = {}
for (const given of task.failing) failures[given.name] = await failure(server, given)
report({ same: JSON.stringify(server) === JSON.stringify(alternative), stories, failures })
