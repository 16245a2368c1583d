"""Baselines of a task: a constant, linear models and boosted trees on features of its tokens."""
