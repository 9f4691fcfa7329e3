"""What `/metrics` tells Prometheus; docs/operations.md says what each means and when to worry."""
