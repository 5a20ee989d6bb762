"""Keys in a cloud provider's KMS: `awskms:`, `gcpkms:` and `azurekms:`, a room for each.

Every room has the same modules: `uri` (the key URI), `algorithms` (what the service signs with),
`credentials` (the vendor's own chain), `faults` (its errors as ours), `client` (its HTTP interface),
`service` (finding keys and asking for signatures, for `signers.remote`) and `backend` (the registry's
entrance). What the three share is here.
"""
