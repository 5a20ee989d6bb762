"""The HTTPS edge: the same rules as over gRPC, for unmodified clients of the standards.

Only this room knows HTTP as a server. It converts, calls, and converts back.
"""
