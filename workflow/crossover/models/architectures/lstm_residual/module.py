"""An LSTM with position embeddings and residual connections as a Hugging Face model."""

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from crossover.models.architectures.lstm.module import LSTMBlock, LSTMConfig, LSTMForCausalLM, LSTMModel


class ResidualLSTMConfig(LSTMConfig):
    """Sizes of LSTM*: 12 layers of 768 in Lu et al. (2021, table 3)."""

    model_type = "lstm-residual"
    num_hidden_layers: int = 12
    max_position_embeddings: int = 1024


class ResidualLSTMBlock(LSTMBlock):
    """One layer, whose output is added to its input."""

    def forward(self, hidden: Tensor) -> Tensor:
        """Read [batch, longest, width] from left to right."""
        return hidden + super().forward(hidden)


class ResidualLSTMModel(LSTMModel):
    """Lu et al.'s LSTM*."""

    config_class = ResidualLSTMConfig
    block = ResidualLSTMBlock

    def __init__(self, config: ResidualLSTMConfig) -> None:
        super().__init__(config)
        self.embed_positions = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.post_init()

    def enter(self, embedded: Tensor) -> Tensor:
        """Add position embeddings to embeddings [batch, longest, width]."""
        positions: Tensor = self.embed_positions(torch.arange(embedded.shape[1], device=embedded.device))
        return embedded + positions


class ResidualLSTMForCausalLM(LSTMForCausalLM):
    """The LSTM* with its token embeddings as the output layer."""

    config_class = ResidualLSTMConfig
    body = ResidualLSTMModel


AutoConfig.register("lstm-residual", ResidualLSTMConfig)
AutoModel.register(ResidualLSTMConfig, ResidualLSTMModel)
AutoModelForCausalLM.register(ResidualLSTMConfig, ResidualLSTMForCausalLM)
