"""The parts of a comparison, one noun per module; `studies.compare` puts them together."""
