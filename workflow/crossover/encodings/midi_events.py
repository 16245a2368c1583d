"""Music as four tokens per note: time shift, pitch, duration, velocity.

The tokens of Oore et al. (2018), "This time with feeling", section 3, in the order of notes rather than of key presses:
times in steps of 10 ms up to 1 s and, so that longer ones need no chain of tokens, of 100 ms up to 10 s; 32 velocities.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from crossover.alphabets import WHOLE_NOTES
from crossover.config.encodings import EventsEncoding
from crossover.encodings.encoder import Encoded, ItemBatches, column, list_lengths, require_type, truncate
from crossover.errors import UserError
from crossover.specs.descriptions import Card, EncoderFacts

FIELDS = 4  # of a note, as readers return them: ms since the previous onset, pitch, duration in ms, velocity
FINE, COARSE = 10, 100  # ms
TIMES = np.concatenate([np.arange(0, 1000, FINE), np.arange(1000, 10_000 + COARSE, COARSE)])  # ms of each time token
PITCHES, VELOCITIES = 128, 32
VELOCITY_STEP = 4
SIZES = np.array([len(TIMES), PITCHES, len(TIMES), VELOCITIES])
FIRST = np.cumsum(SIZES) - SIZES  # the first id of each field


@dataclass(frozen=True)
class EventEncoder:
    """Notes as tokens.

    Attributes:
        max_length: maximum number of tokens of a sequence, which is truncated after a whole note.
    """

    max_length: int

    @property
    def facts(self) -> EncoderFacts:
        """Return the vocabulary."""
        names = [f"shift {ms} ms" for ms in TIMES] + [f"pitch {pitch}" for pitch in range(PITCHES)]
        names += [f"duration {ms} ms" for ms in TIMES]
        names += [f"velocity {number * VELOCITY_STEP}" for number in range(VELOCITIES)]
        return EncoderFacts(kind="events", vocabulary=tuple(names))

    def encode(self, table: pa.Table) -> Encoded:
        """Return four ids per note. Times above 10 s become 10 s and are counted."""
        sequences = column(table, "sequence")
        lengths = list_lengths(sequences)
        numbers = sequences.flatten().to_numpy()
        if len(numbers) % FIELDS or (lengths % FIELDS).any():
            raise UserError("a sequence does not consist of notes of four numbers; correct the raw files.")
        kept = self.max_length - self.max_length % FIELDS
        truncated = int((lengths > kept).sum())
        numbers, lengths = truncate(numbers, lengths, kept)
        notes = numbers.reshape(-1, FIELDS)
        if notes.min() < 0 or notes[:, [1, 3]].max() > 127:
            raise UserError(
                "a note has a negative number, or a pitch or velocity above 127; correct it in the raw files."
            )
        ids = np.empty(notes.shape, dtype=np.uint16)
        ids[:, [0, 2]] = nearest_time(notes[:, [0, 2]])
        ids[:, 1], ids[:, 3] = notes[:, 1], notes[:, 3] // VELOCITY_STEP
        beyond = int((notes[:, [0, 2]] > TIMES[-1]).sum())
        ids += FIRST.astype(np.uint16)
        return Encoded(ids.ravel(), lengths, truncated, 0, {"times beyond 10 s": beyond})

    def decode(self, values: np.ndarray) -> list[int]:
        """Return the numbers of one item's notes: times to the nearest step, velocities down to a multiple of 4."""
        shifts, pitches, durations, velocities = (values.reshape(-1, FIELDS) - FIRST).T
        notes = np.stack([TIMES[shifts], pitches, TIMES[durations], velocities * VELOCITY_STEP], axis=1)
        return [int(number) for number in notes.ravel()]


def nearest_time(milliseconds: np.ndarray) -> np.ndarray:
    """Return the index of the time step nearest to each time; of two equally near, the shorter."""
    midpoints = (TIMES[:-1] + TIMES[1:]) / 2
    return np.searchsorted(midpoints, milliseconds)


def make_encoder(encoding: EventsEncoding, card: Card, training: ItemBatches) -> EventEncoder:
    """Return the encoder of notes.

    Raises:
        UserError: the sequences are not whole notes.
    """
    require_type(card, training, "events", "list<element: int32>")
    if card.unit != WHOLE_NOTES:
        raise UserError(
            f"task {card.task!r} has sequences of pitches, but encoding.kind events needs whole notes; set reader.content to notes."
        )
    return EventEncoder(encoding.max_length)
