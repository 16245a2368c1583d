"""Registry of the modules that learn from each kind of corpus: each has `make_learner(spec, corpus, device) -> Learner`.

Modules are listed by name and not imported: a checkpoint depends only on the code of its own learner.
"""

LEARNERS = {
    "text": "crossover.pretraining.text",
    "symbols": "crossover.pretraining.symbols",
    "patches": "crossover.pretraining.patches",
}
