"""A vision transformer that reads sequences instead of images."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_outputs import BaseModelOutput


class SequenceViT(nn.Module):
    """The blocks and position embeddings of a ViT; the items of a sequence take the positions of patches, row by row.

    The patch embeddings are kept for the input layer to replace; the class token is left out, as in Lu et al. (2021,
    section 3.7).
    """

    def __init__(self, vit: Any) -> None:
        super().__init__()
        self.config = vit.config
        self.patch_embeddings = vit.embeddings.patch_embeddings
        self.position_embeddings = nn.Parameter(vit.embeddings.position_embeddings.detach()[:, 1:].clone())
        self.dropout = vit.embeddings.dropout
        self.layers = vit.layers
        self.layernorm = vit.layernorm

    def write_back(self, vit: Any) -> None:
        """Copy the position embeddings into the model, which has one more, of the class token."""
        vit.embeddings.position_embeddings.data[:, 1:] = self.position_embeddings.detach()

    def zero_positions(self, length: int) -> None:
        """Replace the position embeddings by zeros for sequences of some length, as in Lu et al.'s code."""
        self.position_embeddings = nn.Parameter(torch.zeros(1, length, self.position_embeddings.shape[2]))

    def set_attn_implementation(self, name: str) -> None:
        """Choose how attention is computed, as in Hugging Face models."""
        self.config._attn_implementation = name

    def forward(self, inputs_embeds: Tensor, attention_mask: Tensor, **options: Any) -> BaseModelOutput:
        """Compute the hidden states of sequences.

        Args:
            inputs_embeds: float32 [batch, longest, width].
            attention_mask: int64 [batch, longest], 0 in the padding.
            options: as those of Hugging Face models: `output_hidden_states`, and `output_attentions` where attention is
                computed by the implementation `eager`.

        Returns:
            `last_hidden_state`, float32 [batch, longest, width], and as the options say the states before each block and
            the last, and the attention maps of each block [batch, heads, longest, longest].
        """
        hidden = self.dropout(inputs_embeds + self.position_embeddings[:, : inputs_embeds.shape[1]])
        mask = create_bidirectional_mask(config=self.config, inputs_embeds=hidden, attention_mask=attention_mask)
        states: tuple[Tensor, ...] = (hidden,)
        maps: list[Tensor] = []
        observed = self.layers if options.get("output_attentions") else ()  # layers do not return their maps
        hooks = [
            layer.attention.register_forward_hook(lambda _, __, output: maps.append(output[1])) for layer in observed
        ]
        for layer in self.layers:
            states += (layer(states[-1], mask),)
        for hook in hooks:
            hook.remove()
        last = self.layernorm(states[-1])
        return BaseModelOutput(
            last_hidden_state=last,
            hidden_states=(*states[:-1], last) if options.get("output_hidden_states") else None,
            attentions=tuple(maps) or None,
        )
