"""What the operator sees of a running pipeline: log lines, metrics, health, the status page."""
