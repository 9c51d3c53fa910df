"""Least privilege, held against the calls that are really made: what was called, which permission that takes, and what
the policies in `deploy/iam` allow.
"""
