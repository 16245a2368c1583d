"""The encoded items of one split, as training reads them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crossover.files import check_file, read_sealed_json


@dataclass(frozen=True)
class Tokens:
    """One split, mapped into memory: only what a batch touches is read from the disk.

    Attributes:
        values: uint16 [positions of all] or float32 [positions of all, width].
        offsets: int64 [items + 1]; item i is `values[offsets[i]:offsets[i + 1]]`.
        targets: int64 [items], or int8 [items, positions, bits].
        lengths: int64 [items], the positions of each item.
    """

    values: np.ndarray
    offsets: np.ndarray
    targets: np.ndarray
    lengths: np.ndarray

    @classmethod
    def open(cls, folder: Path, split: str) -> "Tokens":
        """Open a split of a tokenized task, after checking that its files are those written.

        Raises:
            UserError: a file is missing or is not the one that `encoding.json` describes.
        """
        description = folder / "encoding.json"
        digests = read_sealed_json(description)["sha256"]
        names = [f"{split}.{part}" for part in ("values.npy", "offsets.npy", "targets.npy", "items.parquet")]
        paths = [check_file(folder / name, digests[name], f"{description} describes") for name in names]
        # As plain arrays over the same memory: each slice of a memmap costs microseconds more.
        values, offsets, targets = (np.asarray(np.load(path, mmap_mode="r", allow_pickle=False)) for path in paths[:3])
        return cls(values, offsets, targets, np.diff(offsets))

    def __len__(self) -> int:
        return len(self.lengths)

    def gather(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The items at `indices`, int [B], padded to the longest of them (T positions).

        Returns:
            values: uint16 [B, T] or float32 [B, T, width], 0 where there is padding.
            mask: bool [B, T], true where there is none.
            targets: int64 [B] or int8 [B, positions, bits].
        """
        lengths = self.lengths[indices]
        positions = np.arange(lengths.max())
        mask = positions < lengths[:, None]
        # Past the end of an item stand the next items, past the end of all nothing: "clip" keeps inside.
        values = np.take(self.values, self.offsets[indices][:, None] + positions, axis=0, mode="clip")
        values[~mask] = 0
        return values, mask, self.targets[indices]
