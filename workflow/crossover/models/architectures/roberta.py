"""RoBERTa (Liu et al. 2019)."""

from dataclasses import replace

from crossover.models.architectures import bert

RESERVED = 2  # positions are counted from behind the id of padding, 1
ADAPTER = replace(bert.ADAPTER, model_type="roberta", reserved_positions=RESERVED)
TINY = bert.TINY | {"max_position_embeddings": 24 + RESERVED}
