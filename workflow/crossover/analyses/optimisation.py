"""How easily a model can be trained from where it stands: what Kao & Lee (2021) measured to explain transfer.

Their released code looks at the agreement of gradients, at the Jacobian of the network, and at what noise on its weights
does to its output.
"""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from crossover.analyses.subject import Subject, sample
from crossover.seeds import derived_seed
from crossover.training.reading import tensors_of
from crossover.training.scoring import loss_of

BATCHES, BATCH = 8, 8  # of training items, whose gradients are compared
ITEMS = 4  # of the training split, whose Jacobians are taken
SCALES = (1e-8, 1e-6, 1e-4, 1e-2)  # deviations of the noise, as in Kao & Lee's code
DRAWS = 3  # of the noise at each scale


def analyse(subjects: list[Subject], seed: int) -> pd.DataFrame:
    """Measure one model, with a fresh head, on the training items of its task.

    Returns:
        Rows of four measures:

        - `cosine`: between the gradients of two batches, numbered by `number`, with respect to all parameters;
        - `confusion`: the gradient confusion bound of the batches;
        - `singular value`: the mean over items of the singular value with the rank `number` (0 is the largest);
        - `noise`: the relative change of the states that the head reads under weight noise of deviation `scale`.
    """
    [subject] = subjects
    gradients = batch_gradients(subject, seed)
    values = singular_values(subject, seed)
    rows: list[tuple[str, int | None, float | None, float]] = [
        ("cosine", number, None, value) for number, value in enumerate(cosines(gradients).tolist())
    ]
    rows.append(("confusion", None, None, confusion(gradients)))
    rows += [("singular value", number, None, value) for number, value in enumerate(values.tolist())]
    rows += [("noise", None, scale, value) for scale, value in noise_changes(subject, seed).items()]
    return pd.DataFrame(rows, columns=["measure", "number", "scale", "value"]).astype(
        {"number": "Int64", "scale": float}
    )


def batch_gradients(subject: Subject, seed: int) -> Tensor:
    """The gradient of each batch's mean loss, float32 [batches, parameters]."""
    tokens = subject.tokens("train")
    items = np.random.default_rng(seed).permutation(len(tokens))[: BATCHES * BATCH]
    parameters = list(subject.model.parameters())

    def gradient(batch: np.ndarray) -> Tensor:
        values, lengths, targets = tensors_of(tokens, batch, subject.device)
        found = torch.autograd.grad(loss_of(subject.model(values, lengths), targets), parameters, allow_unused=True)
        return torch.cat(
            [torch.zeros(p.numel()) if g is None else g.flatten().cpu() for g, p in zip(found, parameters, strict=True)]
        )

    return torch.stack([gradient(items[start : start + BATCH]) for start in range(0, len(items), BATCH)])


def cosines(gradients: Tensor) -> Tensor:
    """The cosines of all pairs of gradients [n, parameters], float [n (n - 1) / 2]."""
    unit = nn.functional.normalize(gradients, dim=1)
    first, second = torch.triu_indices(len(gradients), len(gradients), offset=1)
    return (unit @ unit.T)[first, second]


def confusion(gradients: Tensor) -> float:
    """The gradient confusion bound: the smallest b >= 0 with <g_i, g_j> >= -b for all pairs (Sankararaman et al. 2020)."""
    products = (gradients @ gradients.T).tolist()
    return max(0.0, *(-products[i][j] for i, j in combinations(range(len(products)), 2)))


def singular_values(subject: Subject, seed: int) -> Tensor:
    """Singular values of the Jacobian of the state that the head reads last, with respect to all that enters the body.

    All near 1 would be dynamical isometry (Saxe et al. 2014; Pennington et al. 2017).

    Returns:
        The mean of each rank over items, descending, float [width of the state, or what is less].
    """
    tokens = subject.tokens("train")
    found = []
    for item in sample(len(tokens), ITEMS, seed):
        values, lengths, _ = tensors_of(tokens, np.array([item]), subject.device)

        def state(entering: Tensor, values: Tensor = values, lengths: Tensor = lengths) -> Tensor:
            read = subject.model.read(values, lengths, inputs_embeds=entering).last_hidden_state
            return subject.model.read_out(read, lengths)[0, -1]

        found.append(torch.linalg.svdvals(jacobian(state, subject.model.input(values).detach())))
    shortest = min(map(len, found))
    return torch.stack([one[:shortest] for one in found]).mean(dim=0)


def jacobian(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """The Jacobian of a function that gives a vector, float [outputs, inputs].

    It is taken row by row: what all rows need together would not fit into memory.
    """
    at = at.detach().requires_grad_()
    outputs = function(at)
    rows = [torch.autograd.grad(output, at, retain_graph=True)[0].flatten() for output in outputs]
    return torch.stack(rows)


def noise_changes(subject: Subject, seed: int) -> dict[float, float]:
    """The mean relative change of the states that the head reads, by the deviation of noise on the body's weights.

    It is computed in double precision, since single precision rounds more than the smallest noise changes.
    """
    tokens = subject.tokens("train")
    values, lengths, _ = tensors_of(tokens, sample(len(tokens), BATCH, seed), subject.device)
    model = subject.model.double()
    values = values.double() if values.is_floating_point() else values
    generator = torch.Generator(subject.device).manual_seed(derived_seed(seed, "noise"))

    def states() -> Tensor:
        return model.read_out(model.read(values, lengths).last_hidden_state, lengths).flatten(1)

    with torch.no_grad():
        return {scale: noise_change(model.body, states, scale, generator) for scale in SCALES}


def noise_change(body: nn.Module, states: Callable[[], Tensor], scale: float, generator: torch.Generator) -> float:
    """How much states [items, ...] change relative to their norms when noise is added to every weight of a body.

    Args:
        body: whose parameters are changed, and put back.
        states: computes the states.
        scale: deviation of the noise.
        generator: where it is drawn from.

    Returns:
        The mean over items and DRAWS draws.
    """
    before, weights = states(), [parameter.clone() for parameter in body.parameters()]
    changes = []
    for _ in range(DRAWS):
        for parameter in body.parameters():
            parameter.add_(torch.empty_like(parameter).normal_(generator=generator), alpha=scale)
        changes.append(((states() - before).norm(dim=1) / before.norm(dim=1)).mean())
        for parameter, weight in zip(body.parameters(), weights, strict=True):
            parameter.copy_(weight)
    return float(torch.stack(changes).mean())
