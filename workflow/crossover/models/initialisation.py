"""Controls of initialisation: random bodies with something of what pretraining does to weights."""

import math

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from crossover.config.bodies import ScaledBody
from crossover.errors import UserError
from crossover.models.adapter import Adapter

# Scale of noise and of the identity in products of weights, as in the experiments of Trockman & Kolter (2023).
QUERY_KEY, VALUE_OUTPUT = 0.7, 0.4


@torch.no_grad()
def take_scale(body: nn.Module, source: nn.Module, settings: ScaledBody, adapter: Adapter) -> None:
    """Give the weights of a random body the scale of pretrained ones (after Wu et al. 2022, section 5).

    Per tensor, the architecture's own initialisation is multiplied so that its root mean square is the pretrained one. Per
    weight, each takes the pretrained absolute value and keeps its sign. What starts at 0, such as most biases, stays 0.

    Args:
        body: the random one, changed in place.
        source: the pretrained one.
        settings: the condition's body.
        adapter: of both.
    """
    for (name, parameter), pretrained in zip(body.named_parameters(), source.parameters(), strict=True):
        if not settings.changes(adapter.group_of(name)):
            continue
        if settings.per == "weight":
            parameter.copy_(parameter.sign() * pretrained.abs())
        elif parameter.any():
            parameter.mul_((pretrained.square().mean() / parameter.square().mean()).sqrt())


def set_mimetic(body: nn.Module, blocks: nn.ModuleList, adapter: Adapter, generator: torch.Generator) -> None:
    """Redraw attention weights so that they look like pretrained ones (Trockman & Kolter 2023, section 4).

    In each head, the product of query and key weights is 0.7 (Z + I), reduced to the rank of the head; the product of value and
    output weights of all heads is 0.4 (Z - I). Each Z is drawn from N(0, 1 / width), and each product is divided between its
    factors by its singular values.

    Args:
        body: a random one, changed in place.
        blocks: of the body.
        adapter: the body's.
        generator: of the noise.

    Raises:
        UserError: the architecture has no attention of this form.
    """
    if adapter.projections is None or adapter.heads is None:
        raise UserError(
            f"body mimetic is not known for the architecture {adapter.model_type}, which needs `projections` in its file in "
            "workflow/crossover/models/architectures/; choose another body or checkpoint."
        )
    for block in blocks:
        query, key, value, output = _projections(block, adapter.projections)
        width, of_head = query.shape[1], len(query) // getattr(body.config, adapter.heads)
        if not query.shape == key.shape == value.shape or len(query) > width:
            raise UserError(
                f"body mimetic needs as many key and value weights as query weights, and no more than {width} in all, but this "
                f"{adapter.model_type} has {len(key)} and {len(query)}; choose another body or checkpoint."
            )
        for rows in range(0, len(query), of_head):
            left, right = _factors(width, QUERY_KEY, QUERY_KEY, generator)
            query[rows : rows + of_head] = left.T[:of_head]
            key[rows : rows + of_head] = right[:of_head]
        left, right = _factors(width, VALUE_OUTPUT, -VALUE_OUTPUT, generator)
        value.copy_(left.T[: len(value)])
        output.copy_(right[: len(value)].T)


def _factors(width: int, noise: float, identity: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return two matrices [width, width] whose product is random: noise * N(0, 1 / width) + identity * I.

    The first columns of the one and the first rows of the other belong to the largest singular values.
    """
    product = noise / math.sqrt(width) * torch.randn(width, width, generator=generator) + identity * torch.eye(width)
    left, values, right = torch.linalg.svd(product)
    root = values.sqrt()
    return left * root, root[:, None] * right


def _projections(block: nn.Module, paths: tuple[str, ...]) -> list[Tensor]:
    """Return views [out, in] of the weights of query, key, value and output layers; one layer may hold the first three."""
    weights = []
    for path in paths:
        layer = block.get_submodule(path)
        weight = layer.get_parameter("weight").data
        weights.append(weight.T if isinstance(layer, Conv1D) else weight)
    *first, output = weights
    return [*(first[0].chunk(3) if len(first) == 1 else first), output]
