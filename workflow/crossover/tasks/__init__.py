"""Tasks: labelled sequences in three splits, made from raw files or generated."""
