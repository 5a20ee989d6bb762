"""The gateway: who calls, what they may do, and the protocol rules behind each RPC.

Start at `gateway.server`, the one composition root, or at `gateway.tokens.mint`, the way of one call.
"""
