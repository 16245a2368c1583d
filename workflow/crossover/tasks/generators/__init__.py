"""Generators: items that are drawn at random."""
