"""Matching of the attention heads of two models."""
