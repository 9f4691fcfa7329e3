"""Data sets: what is known (registry), how each is made once (prepare), how a worker reads it (load)."""
