"""Which module encodes which kind of encoding, and which one changes training images.

Adding an encoder is one module with `make_encoder(settings, card, training) -> Encoder`, and one line here. The modules are
named rather than imported: tokens depend on the code of their own encoder alone, and runs on that of their own augmentation.
"""

ENCODERS = {
    "symbols": "crossover.encodings.symbols",
    "kmers": "crossover.encodings.kmers",
    "subwords": "crossover.encodings.subwords",
    "patches": "crossover.encodings.patches",
    "events": "crossover.encodings.midi_events",
}

AUGMENTATIONS = {"lu2021": "crossover.encodings.augment"}
