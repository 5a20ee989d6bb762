"""Keys in the Transit engine of Vault or OpenBao: `vault:` URIs.

    vault:key=tokens;version=3?address=https://bao.internal:8200&auth=approle&role-id=...&secret-id-source=file:/...

Messages are hashed here and signed there, many in one request; see docs/kms.md.
"""
