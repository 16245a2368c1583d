"""The plain models of tiny checkpoints, which ours must equal.

That of most is what transformers loads. That of an architecture which is used otherwise has a module here, named after it,
with `plain(folder)`.
"""

import importlib
from importlib.util import find_spec

from torch import nn
from transformers import AutoConfig, AutoModel


def plain_model(folder: str) -> nn.Module:
    config = AutoConfig.from_pretrained(folder)
    own = f"{__name__}.{config.model_type.replace('-', '_')}"
    if find_spec(own):
        return importlib.import_module(own).plain(folder).eval()
    model = AutoModel.from_pretrained(folder)
    return (model.get_encoder() if config.is_encoder_decoder else model).eval()
