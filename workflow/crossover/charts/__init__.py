"""Charts: what all of them share, and their colours."""
