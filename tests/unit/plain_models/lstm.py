import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional
from transformers.modeling_outputs import BaseModelOutput


class Plain(nn.Module):
    """Lu et al.'s LSTM from its equations, one position after another."""

    def __init__(self, stored):
        super().__init__()
        self.stored = stored

    def forward(self, inputs_embeds=None, attention_mask=None, input_ids=None):
        hidden = self.stored["embed_tokens.weight"][input_ids] if inputs_embeds is None else inputs_embeds
        for layer in range(2):
            own = {name.rpartition(".")[2] if "lstm" in name else name.split(f"{layer}.")[1]: tensor
                   for name, tensor in self.stored.items() if f"layers.{layer}." in name}  # fmt: skip
            state = cell = torch.zeros(len(hidden), hidden.shape[2])
            out = []
            for place in range(hidden.shape[1]):
                gates = hidden[:, place] @ own["weight_ih_l0"].T + own["bias_ih_l0"]
                gates = gates + state @ own["weight_hh_l0"].T + own["bias_hh_l0"]
                enter, forget, new, leave = gates.chunk(4, dim=1)
                cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
                state = leave.sigmoid() * cell.tanh()
                out.append(functional.layer_norm(state, state.shape[1:], own["norm.weight"], own["norm.bias"]))
            hidden = torch.stack(out, dim=1)
        return BaseModelOutput(last_hidden_state=hidden)


def plain(folder):
    return Plain(load_file(f"{folder}/model.safetensors"))
