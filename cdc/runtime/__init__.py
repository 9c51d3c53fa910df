"""The imperative shell: one owner loop with an inbox, bounded pools of named threads, signals, the clock."""
