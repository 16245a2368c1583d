"""The subcommands for people: what they print."""
