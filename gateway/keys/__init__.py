"""The keyring: which key signs what, now, next and until lately. Start at `gateway.keys.keyring`."""
