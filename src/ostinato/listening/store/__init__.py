"""Where answers are kept: SQLite with a write-ahead log, or PostgreSQL by its URL."""
