"""Isolation mode: a PKCS#11 module in a process of its own, so that its crash or hang costs no other.

`provider` is the gateway's side, `program` the other; `frames` is what they say to each other.
"""
