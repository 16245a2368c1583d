"""Tasks guessed from a user's own files."""
