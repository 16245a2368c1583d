"""Registry of the modules of each kind of encoding, and of each augmentation of training images.

To add an encoding, add a module with `make_encoder(encoding, card, training) -> Encoder`, a line here, and a model in
config/encodings.py. Modules are listed by name and not imported: tokens depend only on the code of their own encoder, and runs
only on that of their own augmentation.
"""

ENCODERS = {
    "symbols": "crossover.encodings.symbols",
    "kmers": "crossover.encodings.kmers",
    "subwords": "crossover.encodings.subwords",
    "patches": "crossover.encodings.patches",
    "events": "crossover.encodings.midi_events",
}

AUGMENTATIONS = {"lu2021": "crossover.encodings.augment"}
