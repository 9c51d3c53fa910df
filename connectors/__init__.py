"""The sources, sinks and stores that implement the ports of `cdc.ports`."""
