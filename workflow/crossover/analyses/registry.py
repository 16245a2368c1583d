"""The kinds of analyses, for the plan and the command line, which import no heavy library."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind of analysis.

    Attributes:
        module: has `analyse(subjects, seed)`, whose table is cached.
        command: the subcommand, and with `_` for `-` the rule.
        description: what the command does.
        paired: it compares two models; else it looks at one.
    """

    module: str
    command: str
    description: str
    paired: bool = False


ANALYSES = {
    "similarity": Kind(
        "crossover.analyses.similarity",
        "compare-representations",
        "compare the layers of two models by CKA, SVCCA and PWCCA",
        paired=True,
    ),
    "heads": Kind(
        "crossover.analyses.heads",
        "match-heads",
        "match the attention heads of two models by what they look at",
        paired=True,
    ),
    "probing": Kind("crossover.analyses.probing", "probe-layers", "fit a linear probe to each layer of a frozen model"),
    "attention": Kind(
        "crossover.analyses.attention",
        "map-attention",
        "measure how far the attention heads of a model look, and average their maps",
    ),
    "optimisation": Kind(
        "crossover.analyses.optimisation",
        "measure-optimisation",
        "measure gradients, the Jacobian and sensitivity to weight noise of a model",
    ),
}
