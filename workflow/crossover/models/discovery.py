"""The adapters of the architectures that are described in models/architectures/, by model type."""

import importlib
import pkgutil
from types import ModuleType

from crossover.errors import UserError
from crossover.models import architectures
from crossover.models.adapter import Adapter


def _discover() -> dict[str, ModuleType]:
    """Import the modules of architectures; return them by model type.

    Raises:
        UserError: a module is not named after its model type.
    """
    modules = {}
    for entry in pkgutil.iter_modules(architectures.__path__):
        module = importlib.import_module(f"{architectures.__name__}.{entry.name}")
        model_type = module.ADAPTER.model_type
        if entry.name != model_type.replace("-", "_"):
            raise UserError(f"{module.__file__}: model_type is {model_type}; name the file after it.")
        modules[model_type] = module
    return modules


_MODULES = _discover()
ADAPTERS: dict[str, Adapter] = {model_type: module.ADAPTER for model_type, module in _MODULES.items()}


def adapter_modules(model_type: str | None) -> list[str]:
    """Return the modules whose code a model depends on beyond what is imported by name: that of its architecture.

    Args:
        model_type: of the model; None where it is not known yet.

    Returns:
        Dotted names: one, or none where no file describes the architecture, or all where the type is not known.
    """
    return [module.__name__ for name, module in _MODULES.items() if model_type in (name, None)]


def check_model_type(model_type: object) -> None:
    """Raise unless crossover or transformers knows a model type, and so has a class for it.

    Raises:
        UserError: neither knows it.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    if model_type not in (*ADAPTERS, *CONFIG_MAPPING_NAMES):
        raise UserError(
            f"neither crossover nor transformers knows the architecture {model_type!r}, and code that comes with a checkpoint is "
            "never run; choose another checkpoint, or convert this one."
        )
