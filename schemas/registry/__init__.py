"""Where schemas are registered: the implementations of `cdc.ports.SchemaRegistry`."""
