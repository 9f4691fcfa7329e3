"""The `goldenbench` command."""
