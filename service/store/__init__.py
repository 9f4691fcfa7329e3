"""The store: our tables are the truth; SQLite embedded, PostgreSQL deployed."""
