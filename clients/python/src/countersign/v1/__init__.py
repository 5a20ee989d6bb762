"""Messages and stubs of the API, package ``countersign.v1``. Written by protos/generate.py; do not edit."""
