"""The whole service as its operator runs it: `cdc run` in a process of its own, on real services.

What it should have delivered is known from what was written; what it has delivered is read by an oracle that shares no
code with it.
"""
