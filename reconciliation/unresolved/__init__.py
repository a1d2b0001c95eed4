"""Unresolved money as the night and the clerks see it: what the settlement files say of it, and the list of it."""
