"""crossover: does what a transformer learned from language carry over to other sequences?"""

import os
from pathlib import Path

__version__ = "0.1.0"
# Environment variables that tell the commands of a workflow ...
PLAN_FOLDER = "CROSSOVER_PLAN"  # ... the folder of their plan
SOCKET = "CROSSOVER_FORKSERVER"  # ... the path of the fork server's socket


def export_path() -> None:
    """Let the processes that this one starts import this package, in whatever environment they run."""
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
