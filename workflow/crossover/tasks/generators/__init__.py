"""Generators: items that are drawn."""
