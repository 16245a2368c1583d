"""Polling at a fixed interval, for tests: Python reads this file when its folder is in PYTHONPATH.

With SNAKEMAKE_POLL=SECONDS, every remote executor of Snakemake asks for the state of its jobs that often. The SLURM plugin
otherwise waits 40 s, then 10 s longer after each question that found no job ended, and has no option for that.
"""

import importlib.util
import os
import sys

NAME = "snakemake_interface_executor_plugins.executors.remote"


class _Finder:
    """Finds the module like everybody else, and changes one property when it has been imported."""

    def find_spec(self, name, path=None, target=None):
        if name != NAME:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            seconds = float(os.environ["SNAKEMAKE_POLL"])
            pause = property(lambda self: seconds, lambda self, value: None)
            module.RemoteExecutor.next_seconds_between_status_checks = pause

        spec.loader.exec_module = exec_module
        return spec


if os.environ.get("SNAKEMAKE_POLL"):
    sys.meta_path.insert(0, _Finder())
