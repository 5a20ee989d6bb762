"""Messages and stubs of the API. Written by protos/generate.py; do not edit."""
