"""BERT (Devlin et al. 2019)."""

from typing import Any

from crossover.models.adapter import Adapter


def _last_block(block: Any, states: Any, at: Any, **_: object) -> Any:
    attention, read = block.attention.self, at.pick(states)
    vectors = (attention.query(read), attention.key(states), attention.value(states))
    heads = (part.unflatten(2, (-1, attention.attention_head_size)) for part in vectors)
    dropout = attention.dropout.p if block.training else 0.0
    attended = at.attend(*heads, attention.scaling, dropout)
    return block.feed_forward_chunk(block.attention.output(attended, read))


ADAPTER = Adapter(
    model_type="bert",
    groups={
        "embeddings": r"embeddings\.(word|token_type)_embeddings\.",
        "positions": r"embeddings\.position_embeddings\.",
        "norms": r"embeddings\.LayerNorm\.|encoder\.layer\.\d+\.(attention\.)?output\.LayerNorm\.",
        "attention": r"encoder\.layer\.\d+\.attention\.(self|output\.dense)\.",
        "feedforward": r"encoder\.layer\.\d+\.(intermediate|output)\.dense\.",
    },
    blocks="encoder.layer",
    token_table="embeddings.word_embeddings",
    dropouts=("hidden_dropout_prob", "attention_probs_dropout_prob"),
    projections=("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"),
    segments="type_vocab_size",
    load_options={"add_pooling_layer": False},
    last_block=_last_block,
    pooler="pooler.dense",
    objective="masked",
)
TINY = {
    "vocab_size": 30,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 24,
}
