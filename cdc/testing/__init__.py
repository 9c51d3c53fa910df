"""Tests and stand-ins for who implements a port: shipped, so that a connector from elsewhere is held to the same rules.

`sink_contract`, `store_contract` and `dead_letters_contract` hold base classes of test cases; a test module subclasses
them and says how to make the thing. `batches` and `encoding` build what a sink is given, `fakes` and `faults` are
implementations in memory that fail on request. The cases are plain assertions; they ask pytest for `tmp_path` alone.
"""
