"""Seeds that follow from a run's seed."""

import numpy as np


def derived_seed(seed: int, purpose: str) -> int:
    """Return a seed for one purpose of a run, independent of those for other purposes."""
    return int(np.random.SeedSequence([seed, *purpose.encode()]).generate_state(1)[0])
