"""Proofs of possession that come with a request, read the same way for every service."""
