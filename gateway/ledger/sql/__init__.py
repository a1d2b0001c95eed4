"""The ledger's statements, one per file. Every one touches the schema in `search_path` and names its columns."""
