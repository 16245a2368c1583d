"""How easily a model can be trained from its initial weights: what Kao & Lee (2021) measured to explain transfer.

Their released code measures the agreement of gradients, the Jacobian of the network, and the sensitivity of its output to
weight noise.
"""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from crossover.analyses.analysed_model import AnalysedModel, sample_indices
from crossover.models.build import derived_seed
from crossover.training.collate import collate
from crossover.training.scoring import loss_of

BATCHES, BATCH_SIZE = 8, 8  # of training items, whose gradients are compared
JACOBIAN_ITEMS = 4  # training items
NOISE_SCALES = (1e-8, 1e-6, 1e-4, 1e-2)  # standard deviations, as in Kao & Lee's code
NOISE_SAMPLES = 3  # at each scale


def measure(models: list[AnalysedModel], seed: int) -> pd.DataFrame:
    """Measure one model, with a newly initialised head, on training items of its task.

    Returns:
        Rows of four measures:

        - `cosine`: similarity of the gradients of two batches with respect to all parameters; `number` counts the pairs;
        - `confusion`: the gradient confusion bound of the batches;
        - `singular value`: of the Jacobian, averaged over items; `number` is its rank, 0 for the largest;
        - `noise`: the relative change of the head's input under weight noise with the standard deviation `scale`.
    """
    [model] = models
    gradients = batch_gradients(model, seed)
    values = singular_values(model, seed)
    rows: list[tuple[str, int | None, float | None, float]] = [
        ("cosine", number, None, value) for number, value in enumerate(cosine_similarities(gradients).tolist())
    ]
    rows.append(("confusion", None, None, gradient_confusion(gradients)))
    rows += [("singular value", number, None, value) for number, value in enumerate(values.tolist())]
    rows += [("noise", None, scale, value) for scale, value in noise_sensitivity(model, seed).items()]
    return pd.DataFrame(rows, columns=["measure", "number", "scale", "value"]).astype(
        {"number": "Int64", "scale": float}
    )


def batch_gradients(model: AnalysedModel, seed: int) -> Tensor:
    """Return the gradient of the mean loss of each batch, float32 [batches, parameters]."""
    tokens = model.tokens("train")
    items = np.random.default_rng(seed).permutation(len(tokens))[: BATCHES * BATCH_SIZE]
    parameters = list(model.network.parameters())

    def gradient(batch: np.ndarray) -> Tensor:
        values, lengths, targets = collate(tokens, batch, model.device)
        loss = loss_of(model.network(values, lengths), targets)
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        return torch.cat(
            [
                torch.zeros(p.numel()) if g is None else g.flatten().cpu()
                for g, p in zip(gradients, parameters, strict=True)
            ]
        )

    return torch.stack([gradient(items[start : start + BATCH_SIZE]) for start in range(0, len(items), BATCH_SIZE)])


def cosine_similarities(gradients: Tensor) -> Tensor:
    """Return the cosine similarity of each pair of gradients [n, parameters], float [n (n - 1) / 2]."""
    unit = nn.functional.normalize(gradients, dim=1)
    first, second = torch.triu_indices(len(gradients), len(gradients), offset=1)
    return (unit @ unit.T)[first, second]


def gradient_confusion(gradients: Tensor) -> float:
    """Return the smallest b >= 0 with <g_i, g_j> >= -b for all pairs of gradients (Sankararaman et al. 2020)."""
    products: list[list[float]] = (gradients @ gradients.T).tolist()
    return max(0.0, *(-products[i][j] for i, j in combinations(range(len(products)), 2)))


def singular_values(model: AnalysedModel, seed: int) -> Tensor:
    """Return the singular values of the Jacobian of the state at the last read-out position, by the body's whole input.

    All close to 1 would be dynamical isometry (Saxe et al. 2014; Pennington et al. 2017).

    Returns:
        The mean over items at each rank, descending, float [min(width of the state, size of the shortest input)].
    """
    tokens = model.tokens("train")
    spectra = []
    for item in sample_indices(len(tokens), JACOBIAN_ITEMS, seed):
        values, lengths, _ = collate(tokens, np.array([item]), model.device)

        def state(embeddings: Tensor, values: Tensor = values, lengths: Tensor = lengths) -> Tensor:
            states = model.network.read(values, lengths, inputs_embeds=embeddings).last_hidden_state
            return model.network.read_out(states, lengths)[0, -1]

        spectra.append(torch.linalg.svdvals(jacobian(state, model.network.input(values).detach())))
    shortest = min(map(len, spectra))
    return torch.stack([spectrum[:shortest] for spectrum in spectra]).mean(dim=0)


def jacobian(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """Return the Jacobian of a vector-valued function at a point, float [outputs, inputs].

    It is computed row by row, since all rows at once would not fit into memory.
    """
    at = at.detach().requires_grad_()
    outputs = function(at)
    rows = [torch.autograd.grad(output, at, retain_graph=True)[0].flatten() for output in outputs]
    return torch.stack(rows)


def noise_sensitivity(model: AnalysedModel, seed: int) -> dict[float, float]:
    """Return the mean relative change of the head's input for each scale of Gaussian noise on the body's weights.

    It is computed in double precision, since the smallest noise is below the rounding error of single precision. The network
    stays in double precision.
    """
    tokens = model.tokens("train")
    values, lengths, _ = collate(tokens, sample_indices(len(tokens), BATCH_SIZE, seed), model.device)
    network = model.network.double()
    values = values.double() if values.is_floating_point() else values
    generator = torch.Generator(model.device).manual_seed(derived_seed(seed, "noise"))

    def states() -> Tensor:
        return network.read_out(network.read(values, lengths).last_hidden_state, lengths).flatten(1)

    with torch.no_grad():
        return {scale: relative_change(network.body, states, scale, generator) for scale in NOISE_SCALES}


def relative_change(body: nn.Module, states: Callable[[], Tensor], scale: float, generator: torch.Generator) -> float:
    """Return the change of states [items, ...] relative to their norms when noise is added to all weights of a body.

    Args:
        body: its parameters are changed, and restored.
        states: computes the states.
        scale: standard deviation of the noise.
        generator: of the noise.

    Returns:
        The mean over items and NOISE_SAMPLES samples of the noise.
    """
    before, weights = states(), [parameter.clone() for parameter in body.parameters()]
    changes = []
    for _ in range(NOISE_SAMPLES):
        for parameter in body.parameters():
            parameter.add_(torch.empty_like(parameter).normal_(generator=generator), alpha=scale)
        changes.append(((states() - before).norm(dim=1) / before.norm(dim=1)).mean())
        for parameter, weight in zip(body.parameters(), weights, strict=True):
            parameter.copy_(weight)
    return float(torch.stack(changes).mean())
