"""Numbered SQL files: `common_NNNN_*` for the schema `busbar`, `partition_NNNN_*` for each `ledger_NN`.

Additive only: a file that was released is never edited (its digest is stored and compared); a change is a new number.
They run as the role that owns the tables, with `search_path` set to the schema they are for.
"""
