"""Facts and words about the analysis `attention`: attention distances and maps."""

from crossover.analyses.kinds import AnalysisText

TEXT = AnalysisText(
    title="How far do attention heads look?",
    measures=(
        "The mean distance between a position and those that it attends to, in positions, and the mean of all attention maps of a "
        "layer."
    ),
    limits=(
        "Distances and maps cannot tell what is done with what is looked at; much of a head's attention may rest on positions that "
        "it makes no use of."
    ),
    reading=(
        "Dots: heads; line: their mean; dashed: attention spread evenly over all positions that may be looked at. Maps: queries "
        "from top to bottom, keys from left to right, by their place in a sequence; full colour is the largest value of a layer."
    ),
)
