"""Configuration in, use cases out: a module for each of them, put together by `gateway.application`."""
