"""The whole core in virtual time, on the simulated service: faults, crashes and checks by seed."""
