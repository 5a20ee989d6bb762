"""The audit log: what the gateway did, each record before its effect, in one chain that shows any change.

Start with `gateway.audit.records` for what is recorded, `gateway.audit.trail` for how it gets into the
database, `gateway.audit.chain` for the hashes, `gateway.audit.verification` for how others check them.
"""
