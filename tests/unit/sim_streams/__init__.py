"""What is known of the real service's streams, fact by fact, held against the simulation."""
