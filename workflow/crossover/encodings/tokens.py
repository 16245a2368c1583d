"""Read the encoded items of a split for training."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from crossover.files import check_file
from crossover.specs.descriptions import EncoderFacts, EncodingDescription

Transform = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Tokens:
    """One split, mapped into memory: only what a batch needs is read from the disk.

    Attributes:
        values: uint16 or uint32 [positions of all], or uint8 or float32 [positions of all, width].
        offsets: int64 [items], or one more; item i begins at `values[offsets[i]]`.
        targets: int64 or float32 [items], or int8 [items, positions, bits].
        lengths: int64 [items], the number of positions of each item; where padding counts, all are the same.
        scaling: float32 [2, width]: values are read as value * scaling[0] + scaling[1]; None to leave them as they are.
        padding: what stands beyond the end of an item.
        unpadded: int64 [items], the number of positions of each item without padding, where `lengths` counts it; else None.
    """

    values: np.ndarray
    offsets: np.ndarray
    targets: np.ndarray
    lengths: np.ndarray
    scaling: np.ndarray | None = None
    padding: int = 0
    unpadded: np.ndarray | None = None

    @classmethod
    def open(cls, folder: Path, split: str) -> "Tokens":
        """Open a split of a tokenized task, after verifying the SHA-256 of its files.

        Raises:
            UserError: a file is missing or is not the one that `encoding.json` describes.
        """
        description = folder / "encoding.json"
        encoding = EncodingDescription.load(description)
        names = [f"{split}.{part}" for part in ("values.npy", "offsets.npy", "targets.npy", "items.parquet")]
        paths = [check_file(folder / name, encoding.sha256[name], f"{description} describes") for name in names]
        # As plain arrays over the same memory: each slice of a memmap takes microseconds more.
        values, offsets, targets = (np.asarray(np.load(path, mmap_mode="r", allow_pickle=False)) for path in paths[:3])
        return cls(values, offsets, targets, np.diff(offsets), _scaling(encoding))

    def padded(self, encoding: EncodingDescription) -> "Tokens":
        """Return the split with all items as long as the longest of the task; their padding is one more symbol, or zeros."""
        padding = 0 if encoding.vocabulary is None else len(encoding.vocabulary)
        lengths = np.full_like(self.lengths, encoding.longest)
        return replace(self, lengths=lengths, padding=padding, unpadded=self.lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def items(self, indices: np.ndarray) -> "Tokens":
        """Return some items alone.

        Args:
            indices: int64 [items], of the items.
        """
        unpadded = None if self.unpadded is None else self.unpadded[indices]
        chosen = {"offsets": self.offsets[indices], "targets": self.targets[indices], "lengths": self.lengths[indices]}
        return replace(self, **chosen, unpadded=unpadded)

    def gather(
        self, indices: np.ndarray, transform: Transform | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return some items, padded to the longest of them.

        Args:
            indices: int [B], of the items.
            transform: applied to the stored values [B, T, width] before they are scaled, such as an augmentation.

        Returns:
            values: uint16 or uint32 [B, T], or float32 [B, T, width]; at padding 0, or int64 where it is a symbol.
            mask: bool [B, T], false at padding.
            targets: int64 or float32 [B], or int8 [B, positions, bits].
        """
        positions = np.arange(self.lengths[indices].max())
        real = self.lengths if self.unpadded is None else self.unpadded
        mask = positions < real[indices][:, None]
        # Beyond the end of an item are the next items, and beyond the last one is nothing, which "clip" takes care of.
        values = np.take(self.values, self.offsets[indices][:, None] + positions, axis=0, mode="clip")
        if transform is not None:
            values = transform(values)
        if self.scaling is not None:
            values = values * self.scaling[0] + self.scaling[1]
        if self.padding:
            values = values.astype(np.int64)  # which has room for one more symbol
        values[~mask] = self.padding
        return values, mask, self.targets[indices]


def _scaling(encoding: EncoderFacts) -> np.ndarray | None:
    """Convert `(value * scale - mean) / std` per channel into a factor and a summand for each value of a patch."""
    scaling, width = encoding.scaling, encoding.width
    if scaling is None or width is None:
        return None
    mean, std = np.array(scaling.mean), np.array(scaling.std)
    by_channel = np.stack([scaling.scale / std, -mean / std])
    by_value: np.ndarray = np.tile(by_channel, width // len(mean)).astype(np.float32)
    return by_value
