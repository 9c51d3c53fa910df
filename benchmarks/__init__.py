"""What a change costs: `make bench`. Method, figures and traps: docs/performance.md."""
