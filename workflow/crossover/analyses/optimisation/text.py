"""Facts and words about the analysis `optimisation`: gradients, Jacobian and weight noise."""

from crossover.analyses.kinds import AnalysisText

TEXT = AnalysisText(
    title="How easily could they be trained?",
    measures=(
        "The agreement (cosine) of gradients of different batches, the singular values of the Jacobian of the state that the head "
        "reads, and how much that state changes when noise is added to all weights of the body."
    ),
    limits=(
        "They describe the first step from a fresh head alone, and noise of one size weighs more on a body with smaller weights; so "
        "they cannot tell where training ends."
    ),
    reading=(
        "Ticks: pairs of batches in each seed; marks: their means. Singular values: all near 1 would be dynamical isometry; a "
        "norm at the end always makes some of them 0, and what is below a millionth of the largest is left out. Noise: the change relative to the state's size."
    ),
)
