"""Longformer (Beltagy et al. 2020) with window attention alone: no position attends globally.

It pads its input to a whole number of windows by itself.
"""

from dataclasses import replace

from crossover.models.architectures import roberta

WINDOW = 64  # positions that one attends to, in a model that is pretrained here
ADAPTER = replace(
    roberta.ADAPTER,
    model_type="longformer",
    last_block=None,
    pretraining_settings={"attention_window": WINDOW},
    window=WINDOW,
)
TINY = roberta.TINY | {"attention_window": 4}
