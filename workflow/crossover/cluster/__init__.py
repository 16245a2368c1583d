"""SLURM: what a job does there beyond training, and what the submitting side must know."""
