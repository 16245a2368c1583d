"""Models: an adapter for each architecture, and what a condition builds from a checkpoint."""
