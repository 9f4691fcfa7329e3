"""The networks a study can train, behind a registry that imports no torch."""
