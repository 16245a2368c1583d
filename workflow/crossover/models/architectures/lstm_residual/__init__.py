"""The LSTM* of Lu et al. (2021): their LSTM with position embeddings and residual connections, and 12 layers instead of 3."""

from dataclasses import replace

from crossover.models.architectures import lstm


def _register() -> None:
    from crossover.models.architectures.lstm_residual import module  # noqa: F401  (which registers its classes)


ADAPTER = replace(
    lstm.ADAPTER,
    model_type="lstm-residual",
    groups=lstm.ADAPTER.groups | {"positions": r"embed_positions\."},
    positions="max_position_embeddings",
    register=_register,
)
TINY = lstm.TINY | {"max_position_embeddings": 24}
