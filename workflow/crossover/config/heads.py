"""Heads: what the output layer reads of the body's last hidden states, and through what."""

from typing import Annotated, Literal

from pydantic import Field

from crossover.config.base import ConfigModel


class Head(ConfigModel):
    """What the output layer reads, and through what."""

    read: Literal["last", "cls", "mean", "last-position"] = "last"
    """Hidden state that is read: of the `last` real position; of the first one (`cls`: the classification token, where the
    encoding begins with one); the `mean` over the real positions; or of the `last-position` of sequences that are padded to the
    longest of the task, where padding is a symbol like any other and is not masked (the code of Lu et al. 2021). Bits are read at
    as many positions at the end, so they need `last` or `last-position`."""
    pooler: Literal["none", "pretrained", "new"] = "none"
    """Dense layer and tanh in front of the output layer: that of the checkpoint (`pretrained`; where the body is drawn at random,
    it is too), or a `new` one. A pretrained pooler is trained with the group `feedforward`, a new one with the group `head`."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout probability in front of the output layer."""

    @property
    def pads(self) -> bool:
        """Return whether sequences are padded to one length, with padding that is read like symbols."""
        return self.read == "last-position"
