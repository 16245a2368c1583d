"""Attention distances and mean attention maps of a model."""
