"""Facts and words about the analysis `similarity`: similarity of layers."""

from crossover.analyses.kinds import AnalysisText

TEXT = AnalysisText(
    paired=True,
    title="Are their layers alike?",
    measures=(
        "Linear CKA, SVCCA and PWCCA say how far the states of two models at the same positions of the same items agree up to a "
        "rotation (CKA) or to any linear map (SVCCA, PWCCA)."
    ),
    limits=(
        "They cannot tell whether what is shared matters for the task; with few positions for the width, SVCCA and PWCCA are high "
        "for layers that share nothing, so that only the distance from the shuffled control counts."
    ),
    reading=(
        "Lines: layers at the same relative depth; dashed: the same measure with the positions of one model shuffled. Squares: CKA "
        "of each layer with each, from 0 (empty) to 1 (full)."
    ),
)
