"""The architectures that are described: one module or package for each model type, discovered by `models.discovery`.

Each defines `ADAPTER`, and for the tests `TINY`: the config of a model with 30 tokens (if it reads tokens), 2 blocks, a
hidden size of 16, 2 attention heads and 24 positions, each as far as the architecture has it. Importing one imports no
torch.
"""
