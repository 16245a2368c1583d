"""Similarity of the layers of two models."""
