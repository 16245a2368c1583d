"""GPT-2 (Radford et al. 2019)."""

from typing import Any

from crossover.models.adapter import Adapter


def _last_block(block: Any, states: Any, at: Any, **_: object) -> Any:
    attention = block.attn
    query, key, value = attention.c_attn(block.ln_1(states)).split(attention.split_size, dim=2)
    heads = (part.unflatten(2, (-1, attention.head_dim)) for part in (at.pick(query), key, value))
    dropout = attention.attn_dropout.p if block.training else 0.0
    attended = at.attend(*heads, attention.scaling, dropout, causal=True)
    read = at.pick(states) + attention.resid_dropout(attention.c_proj(attended))
    return read + block.mlp(block.ln_2(read))


ADAPTER = Adapter(
    model_type="gpt2",
    groups={
        "embeddings": r"wte\.",
        "positions": r"wpe\.",
        "norms": r"h\.\d+\.ln_[12]\.|ln_f\.",
        "attention": r"h\.\d+\.attn\.",
        "feedforward": r"h\.\d+\.mlp\.",
    },
    blocks="h",
    token_table="wte",
    dropouts=("embd_pdrop", "attn_pdrop", "resid_pdrop"),
    positions="n_positions",
    width="n_embd",
    depth="n_layer",
    heads="n_head",
    projections=("attn.c_attn", "attn.c_proj"),
    feedforward_width=None,
    last_block=_last_block,
    objective="causal",
    pretraining_settings={"activation_function": "gelu_pytorch_tanh"},  # GPT-2's GELU as one kernel instead of eight
)
TINY = {
    "vocab_size": 30,
    "n_positions": 24,
    "n_embd": 16,
    "n_layer": 2,
    "n_head": 2,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
