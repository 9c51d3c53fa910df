"""The lake on S3, and on what speaks its API."""
