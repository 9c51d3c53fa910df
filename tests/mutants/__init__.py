"""The shipped code, broken on purpose in one place at a time: what the tests are worth.

Each mutant is a mistake that a change-data-capture service has made, or could. It is applied to the source on its way
into one process (`patching`), never to the files. `python -m tests.mutants` runs them all (`make mutants`).
"""
