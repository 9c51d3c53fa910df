"""The engine in a world of its own: virtual time, a stream, sinks and a store in memory, faults and crashes by seed."""
