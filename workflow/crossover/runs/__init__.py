"""The folder of a run: its files, lock, events, provenance and state of completion."""
