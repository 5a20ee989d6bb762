"""What each vendor's KMS is asked for at most, unless the configuration says otherwise.

A budget is of one gateway, whose workers share it, towards one vendor's quota. Several gateways share that
quota as well: with more of them than the numbers below allow for, set a lower budget. All quotas are defaults
that the vendor raises on request. A batch larger than `burst` and what the budget yields within `budget_wait`
is refused as a whole, so the two are set for batches of 50 and more.
"""

from typing import Final

from signers.remote.options import RemoteOptions

AWS: Final = RemoteOptions(budget=400, burst=100, concurrency=16)
"""Of the 1,000 requests per second and region that all ECC keys of an account share, as do all RSA keys: two
gateways fit. Some regions have less; the quota was 300 everywhere in the past.
SOURCE: AWS KMS Developer Guide, "Request quotas", Cryptographic operations (ECC) and (RSA) request rate.
"""

GCP: Final = RemoteOptions(budget=30, burst=20, concurrency=8, budget_wait=1.0)
"""Of the 3,000 requests per minute and region, enforced as 50 per second, for asymmetric HSM keys of a
project. Software keys may do 60,000 a minute. SOURCE: Cloud KMS documentation, "Quotas": HSM asymmetric
cryptographic requests; Cryptographic requests.
"""

AZURE: Final = RemoteOptions(budget=100, burst=100, concurrency=16)
"""Of the 2,000 operations in 10 seconds and vault with P-256, P-384, P-521, secp256k1 or RSA-2048 keys in an
HSM: 1,100 at most. Software keys may do 4,000; RSA-3072 in an HSM 500, and RSA-4096 250. A Managed HSM has no
such limit and does about 330 P-256 signatures a second and partition. SOURCE: Azure Key Vault documentation,
"Service limits", key transactions; Managed HSM documentation, "Scale".
"""
