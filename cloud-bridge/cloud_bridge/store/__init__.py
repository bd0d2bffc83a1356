"""What the bridge knows: clinical tables, the two ends of the relay, people, keys. SQLite or PostgreSQL through SQLAlchemy Core."""
