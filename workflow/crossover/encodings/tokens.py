"""The encoded items of one split, as training reads them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crossover.files import check_file, read_sealed_json

Change = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Tokens:
    """One split, mapped into memory: only what a batch touches is read from the disk.

    Attributes:
        values: uint16 or uint32 [positions of all], or uint8 or float32 [positions of all, width].
        offsets: int64 [items + 1]; item i is `values[offsets[i]:offsets[i + 1]]`.
        targets: int64 [items], or int8 [items, positions, bits].
        lengths: int64 [items], the positions of each item.
        scaling: float32 [2, width]: values are read as value * scaling[0] + scaling[1]; None leaves them as they are.
    """

    values: np.ndarray
    offsets: np.ndarray
    targets: np.ndarray
    lengths: np.ndarray
    scaling: np.ndarray | None = None

    @classmethod
    def open(cls, folder: Path, split: str) -> "Tokens":
        """Open a split of a tokenized task, after checking that its files are those written.

        Raises:
            UserError: a file is missing or is not the one that `encoding.json` describes.
        """
        description = folder / "encoding.json"
        encoding = read_sealed_json(description)
        digests = encoding["sha256"]
        names = [f"{split}.{part}" for part in ("values.npy", "offsets.npy", "targets.npy", "items.parquet")]
        paths = [check_file(folder / name, digests[name], f"{description} describes") for name in names]
        # As plain arrays over the same memory: each slice of a memmap costs microseconds more.
        values, offsets, targets = (np.asarray(np.load(path, mmap_mode="r", allow_pickle=False)) for path in paths[:3])
        return cls(values, offsets, targets, np.diff(offsets), _scaling(encoding))

    def __len__(self) -> int:
        return len(self.lengths)

    def gather(self, indices: np.ndarray, change: Change | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The items at `indices`, int [B], padded to the longest of them (T positions).

        Args:
            indices: the items.
            change: applied to the stored values [B, T, width] before they are scaled, such as an augmentation.

        Returns:
            values: uint16 or uint32 [B, T], or float32 [B, T, width], 0 where there is padding.
            mask: bool [B, T], true where there is none.
            targets: int64 [B] or int8 [B, positions, bits].
        """
        lengths = self.lengths[indices]
        positions = np.arange(lengths.max())
        mask = positions < lengths[:, None]
        # Past the end of an item stand the next items, past the end of all nothing: "clip" keeps inside.
        values = np.take(self.values, self.offsets[indices][:, None] + positions, axis=0, mode="clip")
        if change is not None:
            values = change(values)
        if self.scaling is not None:
            values = values * self.scaling[0] + self.scaling[1]
        values[~mask] = 0
        return values, mask, self.targets[indices]


def _scaling(encoding: dict[str, Any]) -> np.ndarray | None:
    """From `(value * scale - mean) / std` for each channel to a factor and a summand for each value of a patch."""
    if "scaling" not in encoding:
        return None
    scaling = encoding["scaling"]
    mean, std = np.array(scaling["mean"]), np.array(scaling["std"])
    by_channel = np.stack([scaling["scale"] / std, -mean / std])
    return np.tile(by_channel, encoding["width"] // len(mean)).astype(np.float32)
