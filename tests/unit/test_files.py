"""A sealed file is read back as it was written, or not at all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossover.errors import UserError
from crossover.files import read_json, read_sealed_json, sealed, write_json, write_sealed_json

ATOMS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(ATOMS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)
CONTENTS = st.dictionaries(st.text().filter(lambda key: key != "seal"), VALUES)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("sealed") / "card.json"


@given(CONTENTS)
@settings(deadline=None)
def test_what_was_sealed_is_read_back(path, content):
    write_sealed_json(path, content)
    assert read_sealed_json(path) == content
    assert read_json(path) == sealed(content)


@given(CONTENTS, st.data())
@settings(deadline=None)
def test_no_byte_can_change(path, content, data):
    write_sealed_json(path, content)
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    for other in (damaged, whole[:at], whole + b" "):
        path.write_bytes(other)
        with pytest.raises(UserError, match=r"card\.json is not .* delete it and run snakemake again\.$"):
            read_sealed_json(path)


@pytest.mark.parametrize("value", [{"a": 1}, {"a": 1, "seal": "0" * 64}, [], 7, None, {"seal": 1e300}])
def test_what_was_never_sealed_is_refused(path, value):
    write_json(path, value)
    with pytest.raises(UserError, match="is not as it was written"):
        read_sealed_json(path)
