"""Statements of the outbox; each touches the schema in `search_path` and nothing else."""
