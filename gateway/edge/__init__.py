"""The HTTPS edge: the same rules as over gRPC, for unmodified clients of the standards.

Only this room imports Starlette and uvicorn. It converts, calls, and converts back.
"""
