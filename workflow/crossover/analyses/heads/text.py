"""Facts and words about the analysis `heads`: matching of attention heads."""

from crossover.analyses.kinds import AnalysisText

TEXT = AnalysisText(
    paired=True,
    title="Do their attention heads look at the same positions?",
    measures=(
        "In each layer the heads of two models are paired so that the L1 distances of their attention maps (0: equal, 2: never at "
        "the same position) have the smallest sum, by the Hungarian method."
    ),
    limits=(
        "Maps cannot tell what a head does with what it looks at, and a best pairing is closer than a blind one even where nothing "
        "is shared."
    ),
    reading="Dots: pairs of heads in each seed; line: their mean; dashed: the mean of all pairs, which a blind pairing would have.",
)
