"""Analyses of models before they are fine-tuned: one package for each kind, found by `kinds`."""
