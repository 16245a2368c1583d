"""crossover: does what a transformer learned from language carry over to other sequences?"""

import os
from pathlib import Path

__version__ = "0.1.0"
PLAN_FOLDER = "CROSSOVER_PLAN"  # the environment variable that tells jobs the folder of their plan


def export_path() -> None:
    """Let the processes that this one starts import this package, in whatever environment they run."""
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
