"""Users who authorize clients, logged in by an upstream OpenID provider.

    DelegatedLogin    begin: the request and the browser -> where to send it; finish: what came back -> a code
    PendingLogins     what is remembered between the two, used once

The rules of the request are those of `gateway.tokens.authorization_requests`, those of the login at the
provider of `gateway.oidc`. The provider's user becomes the subject ``PREFIX + sub``, as no client is called.
"""
