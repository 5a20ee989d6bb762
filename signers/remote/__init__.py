"""What every signer behind a network shares: admission, batches, budget, retries, credentials, HTTP.

A backend writes a `signers.remote.service.RemoteService`, which finds keys, and a `RemoteKey`, which asks the
service for signatures. `signers.remote.provider.RemoteProvider` makes a `signers.base.SignerProvider` of it.
"""
