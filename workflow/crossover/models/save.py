"""Write a model of transformers as a checkpoint."""

import shutil
import tempfile
from pathlib import Path

from torch import Tensor
from transformers import PreTrainedModel
from transformers.utils.logging import disable_progress_bar

from crossover.files import replacing


def save_model(model: PreTrainedModel, out: Path, state: dict[str, Tensor] | None = None) -> None:
    """Write config.json and model.safetensors, each in one step.

    Args:
        model: of transformers.
        out: where the files go.
        state: the tensors that are written; by default all of the model's.
    """
    with tempfile.TemporaryDirectory(dir=out) as folder:
        disable_progress_bar()
        model.eval().cpu().save_pretrained(folder, state_dict=state)
        for name in ("config.json", "model.safetensors"):
            with replacing(out / name) as temporary:
                shutil.copyfile(Path(folder) / name, temporary)
