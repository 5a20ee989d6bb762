"""The gRPC door. The only package that imports grpc and countersign.v1; it holds no rule.

Start at `pipeline` (what happens around every call), then `status` (how an error is told), `caller` (who
calls), `listeners` and `tls` (where calls come in), `health`, and `server` (the life of it all).
"""
