"""Typed models of the files in config/, and functions that load and check them."""
