"""Readers: raw files to labelled items."""
