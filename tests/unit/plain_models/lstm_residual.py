from safetensors.torch import load_file
from torch import nn
from transformers.modeling_outputs import BaseModelOutput

from plain_models import lstm


class Plain(nn.Module):
    """Lu et al.'s LSTM*: positions in front of the layers of their LSTM, each of which is added to what it reads."""

    def __init__(self, stored):
        super().__init__()
        self.stored = stored

    def forward(self, inputs_embeds=None, attention_mask=None, input_ids=None):
        hidden = self.stored["embed_tokens.weight"][input_ids] if inputs_embeds is None else inputs_embeds
        hidden = hidden + self.stored["embed_positions.weight"][: hidden.shape[1]]
        for layer in range(2):
            hidden = hidden + lstm.layer_states(self.stored, layer, hidden)
        return BaseModelOutput(last_hidden_state=hidden)


def plain(folder):
    return Plain(load_file(f"{folder}/model.safetensors"))
