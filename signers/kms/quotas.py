"""What each vendor's KMS is asked for at most, unless the configuration says otherwise.

A budget is of one process towards one quota: workers and replicas share the vendor's, so with more of them
than the arithmetic below allows for, set a lower one. All quotas are defaults that the vendor raises on
request.
"""

from typing import Final

from signers.remote.options import RemoteOptions

AWS: Final = RemoteOptions(budget=250, burst=50, concurrency=16)
"""A quarter of the 1,000 requests per second and region that all ECC keys of an account share, as do all RSA
keys; it was 300 in the past, and still is in small regions.
SOURCE: AWS KMS Developer Guide, "Request quotas", Cryptographic operations (ECC) and (RSA) request rate.
"""

GCP: Final = RemoteOptions(budget=40, burst=10, concurrency=8)
"""Of the 3,000 requests per minute and region, enforced as 50 per second, for asymmetric HSM keys of a
project. Software keys may do 60,000 a minute. SOURCE: Cloud KMS documentation, "Quotas": HSM asymmetric
cryptographic requests; Cryptographic requests.
"""

AZURE: Final = RemoteOptions(budget=150, burst=50, concurrency=16)
"""Of the 2,000 operations in 10 seconds and vault with P-256, P-384, P-521, secp256k1 or RSA-2048 keys in an
HSM. Software keys may do 4,000; RSA-3072 in an HSM 500, and RSA-4096 250. A Managed HSM has no such limit and
about 330 P-256 signatures a second per partition. SOURCE: Azure Key Vault documentation, "Service limits",
key transactions; Managed HSM documentation, "Scale".
"""
