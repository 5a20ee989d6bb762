"""Keys on PKCS#11 tokens: HSMs, smart cards, SoftHSM.

Read in this order: `binding` (what is asked of a module), `module` (its life, and recovery), `token` (login),
`session` (one thread's session), `pool` (threads and queue), `signer`, `provider`.
"""
