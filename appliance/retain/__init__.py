"""What keeps the box able to keep: snapshots of the ledger, its rebuilding, and the keeper's rounds."""
