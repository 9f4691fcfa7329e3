"""The one dispatcher: it alone writes what becomes of a study."""
