"""OAuth: clients, grants, minting and revocation. Start at `gateway.tokens.mint.TokenMinter`."""
