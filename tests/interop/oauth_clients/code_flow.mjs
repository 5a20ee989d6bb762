// The code flow by both packages, in two runs: `push` gives a request URI for the login application, `begin` where
// to send the browser; `redeem` takes what the browser brought back, refreshes, introspects and revokes.
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { fetchAs, report, task } from './tools.mjs'

const issuer = new URL(task.issuer)
const options = { [oauth.customFetch]: fetchAs() }
const discovered = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...options })
const server = await oauth.processDiscoveryResponse(issuer, discovered)
const client = { client_id: task.client_id }
const authentication = oauth.ClientSecretBasic(task.secret)
const config = await openid.discovery(issuer, task.client_id, undefined, openid.ClientSecretBasic(task.secret), {
  algorithm: 'oauth2',
  [openid.customFetch]: fetchAs(),
})

const challenge = {
  redirect_uri: task.redirect_uri,
  scope: 'read',
  state: 'state',
  code_challenge: await oauth.calculatePKCECodeChallenge(task.verifier),
  code_challenge_method: 'S256',
}

async function begin() {
  const url = new URL(server.authorization_endpoint)
  url.search = new URLSearchParams({ ...challenge, client_id: task.client_id, response_type: 'code' })
  const build = task.pushed ? openid.buildAuthorizationUrlWithPAR : openid.buildAuthorizationUrl
  return { oauth4webapi: url.href, openid_client: (await build(config, challenge)).href }
}

async function push() {
  const parameters = new URLSearchParams({ ...challenge, response_type: 'code' })
  const response = await oauth.pushedAuthorizationRequest(server, client, authentication, parameters, options)
  const pushed = await oauth.processPushedAuthorizationResponse(server, client, response)
  const url = await openid.buildAuthorizationUrlWithPAR(config, challenge)
  return { oauth4webapi: pushed.request_uri, openid_client: url.searchParams.get('request_uri') }
}

async function redeemByOauth4webapi(location) {
  const answer = oauth.validateAuthResponse(server, client, new URL(location), 'state')
  const response = await oauth.authorizationCodeGrantRequest(
    server, client, authentication, answer, task.redirect_uri, task.verifier, options)
  const first = await oauth.processAuthorizationCodeResponse(server, client, response)
  const again = await oauth.refreshTokenGrantRequest(server, client, authentication, first.refresh_token, options)
  const second = await oauth.processRefreshTokenResponse(server, client, again)
  const revoked = await oauth.revocationRequest(server, client, authentication, second.refresh_token, options)
  await oauth.processRevocationResponse(revoked)
  const asked = await oauth.introspectionRequest(server, client, authentication, second.access_token, options)
  return { first, second, after: await oauth.processIntrospectionResponse(server, client, asked) }
}

async function redeemByOpenidClient(location) {
  const first = await openid.authorizationCodeGrant(config, new URL(location), {
    pkceCodeVerifier: task.verifier,
    expectedState: 'state',
  })
  const second = await openid.refreshTokenGrant(config, first.refresh_token)
  await openid.tokenRevocation(config, second.refresh_token)
  return { first, second, after: await openid.tokenIntrospection(config, second.access_token) }
}

report(
  task.step === 'push'
    ? await push()
    : task.step === 'begin'
      ? await begin()
      : {
          oauth4webapi: await redeemByOauth4webapi(task.locations.oauth4webapi),
          openid_client: await redeemByOpenidClient(task.locations.openid_client),
        },
)
