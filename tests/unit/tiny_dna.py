"""A task of DNA whose target follows from a sequence, prepared and tokenized in a moment."""

import numpy as np
import pandas as pd

from crossover.config.tasks import Target
from crossover.encodings.tokenize import tokenize_task
from crossover.files import sha256, write_parquet
from crossover.specs.descriptions import SPLITS, Card, EncodingDescription
from crossover.specs.tasks import TokensSpec
from crossover.tasks.items import Items
from crossover.tasks.prepare.card import describe_items

ITEMS = 240
PIECE = 4  # items of a group


def prepared(folder, target_of, **target):
    """A task of DNA whose target follows from the number of A, divided into three splits."""
    rng = np.random.default_rng(0)
    sequences = ["".join(rng.choice(list("ACGT"), 12, p=(0.1 + 0.5 * share, *3 * [0.3 - share / 6]))) for share in rng.random(ITEMS)]  # fmt: skip
    table = pd.DataFrame(
        {
            "item": [f"i{number}" for number in range(ITEMS)],
            "group": [f"g{number // PIECE}" for number in range(ITEMS)],
            "sequence": sequences,
            "target": [target_of(text.count("A")) for text in sequences],
            "split": np.repeat(SPLITS, [ITEMS // 2, ITEMS // 4, ITEMS // 4]),
        }
    )
    statistics = describe_items(Items(table, "letters"), Target(**target))
    for split in SPLITS:
        write_parquet(folder / f"{split}.parquet", table[table["split"] == split].drop(columns="split"))
    digests = {f"{split}.parquet": sha256(folder / f"{split}.parquet") for split in SPLITS}
    Card(**dict(statistics), task="dna", origin=None, sha256=digests).write(folder / "card.json")
    return table


def tokens(root, target_of, **target):
    table = prepared(root / "task", target_of, **target)
    encoding = {"kind": "symbols", "alphabet": "dna", "max_length": 12}
    folder = root / "results/tokens/dna-tokens"
    tokenize_task(TokensSpec(name="dna-tokens", task="dna", encoding=encoding, code={}), root / "task", folder)
    return table[table["split"] == "test"], EncodingDescription.load(folder / "encoding.json")
