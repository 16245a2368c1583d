"""Facts and words about the analysis `probing`: linear probes."""

from crossover.analyses.kinds import AnalysisText

TEXT = AnalysisText(
    title="What can be read from each layer?",
    measures="A linear probe is fitted to the frozen states of each layer where the head would read, and scored on test items.",
    limits=(
        "It cannot tell whether the model uses what a probe finds, nor whether the layer matters once it is fine-tuned: Tamkin et "
        "al. (2020) found it neither necessary nor sufficient."
    ),
    reading=(
        "Layer 0 is what enters the first block. Thin: single seeds; bold: their mean; level: the floor. At most 2,000 read-out "
        "positions of each split are used."
    ),
)
