"""Gradients, Jacobian and sensitivity to weight noise of a model."""
