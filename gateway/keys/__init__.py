"""The keyring: which key signs for which purpose, now, next and until lately. Start at `gateway.keys.keyring`."""
