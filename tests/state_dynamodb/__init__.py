"""Stores in DynamoDB tables: what the emulator and the stand-in both have to do."""
