"""An LSTM as a Hugging Face model, so that it is saved, loaded, pretrained and fine-tuned like all others."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput


class LSTMConfig(PretrainedConfig):  # type: ignore[misc]  # transformers is untyped
    """Sizes of an LSTM: three layers of 768 in Lu et al. (2021, section 3.3)."""

    model_type = "lstm"
    vocab_size: int = 50257
    hidden_size: int = 768
    num_hidden_layers: int = 3
    dropout: float = 0.0
    initializer_range: float = 0.02
    tie_word_embeddings: bool = True


class LayerNorm(nn.Module):
    """Layer normalisation by the unbiased variance, whose weight and bias start from U(-1, 1) over the root of the width."""

    def __init__(self, width: int, epsilon: float = 1e-6) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.weight, self.bias = nn.Parameter(torch.empty(width)), nn.Parameter(torch.empty(width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias."""
        limit = len(self.weight) ** -0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -limit, limit)

    def forward(self, values: Tensor) -> Tensor:
        """Normalise the last dimension."""
        centred = values - values.mean(-1, keepdim=True)
        return centred / (values.var(-1, keepdim=True) + self.epsilon).sqrt() * self.weight + self.bias


class LSTMBlock(nn.Module):
    """One layer, with layer normalisation of both parts of the gates and of the cell (Ba et al. 2016, as Lu et al. use it)."""

    def __init__(self, config: LSTMConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.input_gates, self.hidden_gates = nn.Linear(width, 4 * width), nn.Linear(width, 4 * width)
        self.input_norm, self.hidden_norm = LayerNorm(4 * width), LayerNorm(4 * width)
        self.cell_norm = LayerNorm(width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        """Read [batch, longest, width] from left to right, starting from zeros; so padding on the right changes nothing."""
        state = cell = hidden.new_zeros(len(hidden), hidden.shape[2])
        states = []
        for entering in self.input_norm(self.input_gates(hidden)).unbind(1):
            gates, new = (entering + self.hidden_norm(self.hidden_gates(state))).split(
                [3 * hidden.shape[2], hidden.shape[2]], dim=1
            )
            enter, forget, leave = gates.sigmoid().chunk(3, dim=1)
            cell = self.cell_norm(forget * cell + enter * new.tanh())
            state = self.dropout(leave * cell.tanh())
            states.append(state)
        return torch.stack(states, dim=1)


class LSTMPreTrained(PreTrainedModel):  # type: ignore[misc]
    """Initialisation, and what transformers needs to know."""

    config_class = LSTMConfig
    base_model_prefix = "model"

    def _init_weights(self, module: nn.Module) -> None:
        """Initialise embeddings with N(0, 0.02) as transformers does, and everything else as PyTorch does."""
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=self.config.initializer_range)
        elif isinstance(module, (nn.Linear, LayerNorm)):
            module.reset_parameters()


class LSTMModel(LSTMPreTrained):
    """Lu et al.'s LSTM: no positions, no residual connections, layer normalisation inside of each cell.

    In their code a sequence starts from a random state, in evaluation too, so that predictions change from call to call;
    here it starts from zeros.
    """

    block = LSTMBlock

    def __init__(self, config: LSTMConfig) -> None:
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList([self.block(config) for _ in range(config.num_hidden_layers)])
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """Return the token embeddings."""
        return self.embed_tokens

    def enter(self, embedded: Tensor) -> Tensor:
        """Return what the first layer reads of embeddings [batch, longest, width]."""
        return embedded

    def forward(
        self, input_ids: Tensor | None = None, inputs_embeds: Tensor | None = None, **options: Any
    ) -> BaseModelOutput:
        """Compute the hidden states of token ids, int64 [batch, longest], or of embeddings, float32 [batch, longest, width]."""
        states: tuple[Tensor, ...] = (
            self.enter(self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds),
        )
        for layer in self.layers:
            states += (layer(states[-1]),)
        return BaseModelOutput(
            last_hidden_state=states[-1], hidden_states=states if options.get("output_hidden_states") else None
        )


class LSTMForCausalLM(LSTMPreTrained):
    """The LSTM with its token embeddings as the output layer."""

    body = LSTMModel

    def __init__(self, config: LSTMConfig) -> None:
        super().__init__(config)
        self.model = self.body(config)
        self.post_init()

    def forward(self, input_ids: Tensor, **options: Any) -> CausalLMOutput:
        """Compute the logits of each next token, float32 [batch, longest, tokens]."""
        hidden = self.model(input_ids=input_ids).last_hidden_state
        return CausalLMOutput(logits=functional.linear(hidden, self.model.embed_tokens.weight))


AutoConfig.register("lstm", LSTMConfig)
AutoModel.register(LSTMConfig, LSTMModel)
AutoModelForCausalLM.register(LSTMConfig, LSTMForCausalLM)
