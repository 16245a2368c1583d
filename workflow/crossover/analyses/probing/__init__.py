"""Linear probes on the layers of a model."""
