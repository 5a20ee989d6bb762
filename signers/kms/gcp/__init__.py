"""Keys in Google Cloud KMS: `gcpkms:` URIs. Start at `signers.kms.gcp.service`."""
