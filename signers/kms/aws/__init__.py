"""Keys in AWS KMS: `awskms:` URIs. Start at `signers.kms.aws.service`."""
