"""Backups: one tar file with the database and the prepared data sets, each with its checksum.

`manifest.json` comes first and says what follows, `manifest.sha256` vouches for it. Then come `database` (SQLite: the
file; PostgreSQL: pg_dump's custom format, our own tables) and `datasets/...`, the prepared files and their indexes.
Nothing is taken out of the file by a name or a link that it brings along.
"""
