"""Analyses of representations: what models hold before they are fine-tuned."""
