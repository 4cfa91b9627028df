"""A demonstration without a key: the simulator, the real Meltano job into DuckDB, and what the logs tell."""
