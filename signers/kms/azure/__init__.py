"""Keys in Azure Key Vault and Managed HSM: `azurekms:` URIs. Start at `signers.kms.azure.service`."""
