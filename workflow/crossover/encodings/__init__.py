"""Encodings: labelled sequences made into the arrays that models read."""
