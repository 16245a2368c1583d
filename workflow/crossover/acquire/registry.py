"""Registry of the modules that acquire each kind of dataset.

To add a kind, add a module with `acquire(dataset, spec, folder, workers) -> Acquired`, a line here, and a model in
config/datasets.py. Modules are listed by name and not imported, so that a dataset depends only on the code of its own
kind.
"""

ACQUIRERS = {
    "music21": "crossover.acquire.music21",
    "sklearn-digits": "crossover.acquire.installed",
    "python-topics": "crossover.acquire.installed",
    "folder": "crossover.acquire.folder",
    "download": "crossover.acquire.download",
    "hub": "crossover.acquire.hub",
}
