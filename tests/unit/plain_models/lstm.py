import torch
from safetensors.torch import load_file
from torch import nn
from transformers.modeling_outputs import BaseModelOutput


def normalised(values, weight, bias):
    """Layer normalisation by the unbiased variance."""
    variance, mean = torch.var_mean(values, dim=-1, correction=1, keepdim=True)
    return weight * (values - mean) / torch.sqrt(variance + 1e-6) + bias


def layer_states(stored, layer, hidden):
    """The states of one layer of Lu et al.'s LSTM from its equations, one position after another."""
    own = {name.split(f"layers.{layer}.")[1]: tensor for name, tensor in stored.items() if f"layers.{layer}." in name}
    state = cell = torch.zeros(len(hidden), hidden.shape[2])
    out = []
    for place in range(hidden.shape[1]):
        gates = 0
        for part, values in (("input", hidden[:, place]), ("hidden", state)):
            linear = values @ own[f"{part}_gates.weight"].T + own[f"{part}_gates.bias"]
            gates = gates + normalised(linear, own[f"{part}_norm.weight"], own[f"{part}_norm.bias"])
        enter, forget, leave, new = gates.chunk(4, dim=1)
        cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
        cell = normalised(cell, own["cell_norm.weight"], own["cell_norm.bias"])
        state = leave.sigmoid() * cell.tanh()
        out.append(state)
    return torch.stack(out, dim=1)


class Plain(nn.Module):
    """Lu et al.'s LSTM: its layers one after another."""

    def __init__(self, stored):
        super().__init__()
        self.stored = stored

    def forward(self, inputs_embeds=None, attention_mask=None, input_ids=None):
        hidden = self.stored["embed_tokens.weight"][input_ids] if inputs_embeds is None else inputs_embeds
        for layer in range(2):
            hidden = layer_states(self.stored, layer, hidden)
        return BaseModelOutput(last_hidden_state=hidden)


def plain(folder):
    return Plain(load_file(f"{folder}/model.safetensors"))
