"""What a run has learned: its trained parameters, in one safetensors file."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from crossover.errors import UserError
from crossover.files import replacing
from crossover.models.module import SequenceModel


def trained_parameters(model: SequenceModel) -> dict[str, Tensor]:
    """Return the trained parameters of a model, by their names in it."""
    return {name: model.get_parameter(name).detach() for name in model.rates}


def save_trained(parameters: dict[str, Tensor], path: Path) -> None:
    """Write trained parameters, by their names in the model; there may be none."""
    with replacing(path) as temporary:
        save_file({name: one.cpu().contiguous() for name, one in parameters.items()}, temporary, {"format": "pt"})


@torch.no_grad()
def load_trained(model: SequenceModel, path: Path) -> None:
    """Give a model, built as that of the run was, the parameters that the run has trained.

    Raises:
        UserError: the file is missing or damaged, or holds other parameters.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read; delete the folder of the run and run snakemake again.") from error
    if tensors.keys() != model.rates.keys():
        raise UserError(
            f"{path} holds {len(tensors)} trained parameters, but the run trains {len(model.rates)}; delete the folder of the "
            "run and run snakemake again."
        )
    for name, tensor in tensors.items():
        model.get_parameter(name).copy_(tensor)
