import gzip
import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossover.acquire import archives
from crossover.acquire.archives import UnpackBudget, unpack
from crossover.errors import UserError

MB = 10**6


def zipped(path: Path, members) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def tarred(path: Path, members) -> Path:
    """A tar of names (or TarInfo) and contents, compressed where the name says so."""
    with tarfile.open(path, "w:gz" if path.suffix in {".gz", ".tgz"} else "w") as archive:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


KINDS = {"a.zip": zipped, "a.tar": tarred, "a.tar.gz": tarred, "a.tgz": tarred, "released.gz": tarred}
TWO = [("d/one.tsv", b"1"), ("d/e/two.txt", b"22" * 99), ("three", b"")]


@pytest.fixture(params=KINDS)
def make(request, tmp_path):
    return lambda members: KINDS[request.param](tmp_path / request.param, members)


def unpacked(archive: Path, limit=MB, only=(), taken=()) -> dict[str, bytes]:
    """What an archive unpacks to, by path; the folder holds just that."""
    folder = archive.parent / "out"
    folder.mkdir(exist_ok=True)
    names = unpack(archive, folder, UnpackBudget(limit), only, set(taken))
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert sorted(found) == names
    return found


def refusal(archive: Path, **limits) -> str:
    """Why an archive is refused: in one sentence that names it, and nothing of it is there."""
    with pytest.raises(UserError) as error:
        unpacked(archive, **limits)
    assert str(error.value).startswith(str(archive))
    assert "\n" not in str(error.value)
    assert list((archive.parent / "out").iterdir()) == []
    return str(error.value)


# --- what is unpacked -------------------------------------------------------------------------------------------


def test_files_are_unpacked_with_their_paths(make):
    assert unpacked(make([*TWO, ("./with/dot", b"x")])) == {**dict(TWO), "with/dot": b"x"}


def test_hidden_files_are_left_out(make):
    hidden = [("._three", b"x"), ("__MACOSX/d/one", b"x"), ("d/.DS_Store", b"x"), ("d/.git/config", b"x")]
    assert unpacked(make(TWO + hidden)) == dict(TWO)


def test_only_what_is_wanted_is_unpacked_and_counted(make):
    archive = make([*TWO, ("large", bytes(3 * MB))])
    assert unpacked(archive, only=["*.tsv", "thr*"]) == {"d/one.tsv": b"1", "three": b""}
    with pytest.raises(UserError, match=r"contains no files that match \['\*.csv'\]"):
        unpack(archive, archive.parent / "out", UnpackBudget(MB), ["*.csv"], set())


def test_unpacking_again_over_what_an_interrupted_run_left_gives_the_same(make):
    archive = make(TWO)
    unpacked(archive)
    (archive.parent / "out" / "three").write_bytes(b"half")
    assert unpacked(archive) == dict(TWO)


# --- what could do harm -----------------------------------------------------------------------------------------

OUTSIDE = ["/etc/x", "../x", "a/../../x", "d\\..\\x", "..", "a/.."]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_path_out_of_the_folder_is_refused(make, name):
    assert "leads out of the folder" in refusal(make([*TWO, (name, b"x")]))


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    archive = tarred(tmp_path / "a.tar.gz", [("d/one", b"1"), (special("x", kind, "/etc/passwd"), b"")])
    assert "'x' is a link or a device" in refusal(archive)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_in_a_zip_are_refused(tmp_path, kind):
    info = zipfile.ZipInfo("x")
    info.external_attr = (kind | 0o777) << 16
    assert "'x' is a link or a device" in refusal(zipped(tmp_path / "a.zip", [("one", b"1"), (info, b"/etc/passwd")]))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("other", ["three", "./three", "d/../three", "three/x"])
def test_two_members_for_one_path_are_refused(make, other):
    text = refusal(make([*TWO, (other, b"x")]))
    assert any(words in text for words in ("occurs twice", "leads out of", "is both a file and a folder"))


def test_a_name_of_another_file_of_the_dataset_is_refused(make):
    assert "'three'" in refusal(make(TWO), taken=["three"])


@pytest.mark.parametrize("name", ["x" * 256, "é" * 130, "/".join("ab" for _ in range(400)), "a\nb", "a\x1bb"])
def test_names_that_no_file_should_have_are_refused(make, name):
    assert "name" in refusal(make([*TWO, (name, b"x")]))


def test_a_member_without_a_name_is_refused(tmp_path):
    archive = zipped(tmp_path / "a.zip", [("QQ", b"x")])
    archive.write_bytes(archive.read_bytes().replace(b"QQ", b"\0Q"))
    assert "leads out of the folder" in refusal(archive)


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    assert "not plain UTF-8" in refusal(tarred(tmp_path / "a.tar", [("caf\udce9", b"x")]))


def test_an_encrypted_zip_is_named(tmp_path):
    archive = zipped(tmp_path / "a.zip", [("secret", b"x" * 40)])
    content = bytearray(archive.read_bytes())
    content[6] |= 1  # the flag in the member's own header
    content[content.index(b"PK\x01\x02") + 8] |= 1  # and in the list of members
    archive.write_bytes(content)
    assert "'secret' is encrypted" in refusal(archive)


# --- bombs ------------------------------------------------------------------------------------------------------


def test_more_bytes_than_allowed_are_refused_while_they_are_unpacked(make):
    archive = make([("a", bytes(MB // 2)), ("b", bytes(MB))])
    assert "unpacks to more than 1 MB; if that is expected, raise unpacked_mb" in refusal(archive)
    assert len(unpacked(archive, limit=3 * MB // 2)) == 2


def test_the_room_is_shared_by_the_archives_of_a_dataset(tmp_path):
    (tmp_path / "out").mkdir()
    budget = UnpackBudget(MB)
    unpack(zipped(tmp_path / "a.zip", [("a", bytes(MB // 2))]), tmp_path / "out", budget, [], set())
    with pytest.raises(UserError, match="unpacks to more than"):
        unpack(zipped(tmp_path / "b.zip", [("b", bytes(MB // 2 + 1))]), tmp_path / "out", budget, [], set())


def test_a_size_in_a_header_is_not_trusted(tmp_path):
    archive = zipped(tmp_path / "a.zip", [("a", bytes(5 * MB))])
    content = bytearray(archive.read_bytes())
    for start, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = content.index(start) + offset
        content[at : at + 4] = (10).to_bytes(4, "little")
    archive.write_bytes(content)
    refusal(archive)


def test_too_many_files_are_refused(make, monkeypatch):
    monkeypatch.setattr(archives, "MAX_FILES", 50)
    assert "contains more than 50 files" in refusal(make([(f"{number}", b"") for number in range(51)]))


def test_a_header_that_fills_the_memory_is_refused(tmp_path):
    info = tarfile.TarInfo("x")
    info.pax_headers = {"comment": "c" * (8 * MB)}
    assert "a header of" in refusal(tarred(tmp_path / "a.tar.gz", [(info, b"x")]))


# --- damage -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7])
def test_an_archive_that_was_cut_off_is_refused(make, share):
    archive = make([(f"{number}", os.urandom(600)) for number in range(20)])
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * share)])
    assert "is damaged, incomplete, or not a zip or tar archive" in refusal(archive)


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_an_archive_that_lacks_its_last_byte_is_refused(tmp_path, name):
    archive = KINDS[name](tmp_path / name, TWO)
    archive.write_bytes(archive.read_bytes()[:-1])
    assert "incomplete" in refusal(archive)


def test_a_tar_that_ends_between_two_members_is_refused(tmp_path):
    archive = tarred(tmp_path / "a.tar", [("a", b"1"), ("b", b"2")])
    archive.write_bytes(archive.read_bytes()[:1024])
    assert "unexpected end" in refusal(archive)


@pytest.mark.parametrize(
    "content",
    # mtime=0: a parameter is part of its test's name, which every worker of pytest-xdist must find alike.
    [b"", b"PK", b"\x1f\x8b", b"text", gzip.compress(b"text", mtime=0), gzip.compress(b"", mtime=0)],
)
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    assert "not a zip or tar archive" in refusal(tmp_path / "a.zip")


@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_damage_anywhere_is_refused_or_changes_nothing(data, tmp_path_factory):
    """Zip members and gzip streams carry checksums of the content; a plain tar has them of its headers only."""
    name = data.draw(st.sampled_from(["a.zip", "a.tar.gz"]))
    archive = KINDS[name](tmp_path_factory.mktemp("damage") / name, TWO)
    content = bytearray(archive.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    archive.write_bytes(content)
    try:
        found = unpacked(archive)
    except UserError:
        return
    assert set(found.values()) <= {content for _, content in TWO}


NAMES = st.lists(st.sampled_from(["a", "b", "..", ".", "", "/", ".h", "c\\d", "\u2028", "é"]), min_size=1, max_size=4)


@given(names=st.lists(NAMES.map("/".join).filter(bool), min_size=1, max_size=5), name=st.sampled_from(list(KINDS)))
@settings(deadline=None, max_examples=150)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_nothing_is_ever_written_beside_the_folder(names, name, tmp_path_factory):
    root = tmp_path_factory.mktemp("archive")
    archive = KINDS[name](root / name, [(member, member.encode()) for member in names])
    (root / "out").mkdir()
    try:
        found = unpack(archive, root / "out", UnpackBudget(MB), [], set())
    except UserError:
        found = []
    assert sorted(path.name for path in root.iterdir()) == sorted([name, "out"])
    written = [path for path in (root / "out").rglob("*") if path.is_file()]
    assert sorted(path.relative_to(root / "out").as_posix() for path in written) == found
    assert {path.read_bytes().decode() for path in written} <= set(names)
