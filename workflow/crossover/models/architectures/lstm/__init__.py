"""The LSTM of Lu et al. (2021): recurrent weights stand for attention, input weights for the feed-forward layer."""

from crossover.models.adapter import Adapter


def _register() -> None:
    from crossover.models.architectures.lstm import module  # noqa: F401  (which registers its classes)


ADAPTER = Adapter(
    model_type="lstm",
    groups={
        "embeddings": r"embed_tokens\.",
        "norms": r"layers\.\d+\.(input|hidden|cell)_norm\.",
        "attention": r"layers\.\d+\.hidden_gates\.",
        "feedforward": r"layers\.\d+\.input_gates\.",
    },
    blocks="layers",
    token_table="embed_tokens",
    dropouts=("dropout",),
    positions=None,
    heads=None,
    feedforward_width=None,
    register=_register,
    objective="causal",
)
TINY = {"vocab_size": 30, "hidden_size": 16, "num_hidden_layers": 2, "dropout": 0.1}
