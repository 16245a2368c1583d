"""What is deleted is ours, unused, and inside the working folder; what lies outside is at most read."""

import os
from pathlib import Path

import pytest

from crossover.acquire.dataset import acquire_dataset
from crossover.acquire.receipt import read_receipt
from crossover.errors import UserError
from crossover.files import tree_digest
from crossover.runs.lock import exclusive
from crossover.specs.datasets import DatasetSpec
from crossover.training.state import StateStore
from workflow_copy import WorkflowCopy, write_tune

STRANGER = 12345  # a user id


def entry(copy: WorkflowCopy, name: str, folder: str = "results/runs") -> Path:
    """An entry that no study uses, with a file two folders down."""
    path = copy.root / folder / name
    (path / "seed-0" / "state").mkdir(parents=True)
    (path / "seed-0" / "state" / "latest.pt").write_text("state")
    return path


def prune(copy: WorkflowCopy) -> str:
    done = copy.by_hand("prune", "--study", "tiny.yaml", "--delete")
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("theirs", [".", "seed-0/.lock", "seed-0/state/latest.pt"])
def test_prune_leaves_an_entry_with_a_file_of_another_user(fresh, require, theirs):
    require(os.geteuid() == 0, "files cannot be given to another user: run sudo make test")
    ours, shared = entry(fresh, "ours-00000000"), entry(fresh, "shared-00000000")
    (shared / "seed-0" / ".lock").touch()
    os.chown(shared / theirs, STRANGER, STRANGER)
    listed = prune(fresh)
    assert "another user's  results/runs/shared-00000000\n" in listed
    assert not ours.exists()
    assert (shared / "seed-0" / "state" / "latest.pt").read_text() == "state"
    assert "every other file is used by a study" in prune(fresh)


@pytest.mark.parametrize("folder", ["results/runs", "results/checkpoints"])
def test_prune_leaves_an_entry_whose_lock_is_held(fresh, folder):
    path, free = entry(fresh, "held-00000000", folder), entry(fresh, "free-00000000", folder)
    for each in (path, free):
        with exclusive(each / "seed-0" / ".lock", "free"):
            pass
    with exclusive(path / "seed-0" / ".lock", "held"):
        assert f"in use  {folder}/held-00000000\n" in prune(fresh)
    assert path.exists()
    assert not free.exists()


def test_prune_deletes_links_and_not_what_they_lead_to(fresh, tmp_path):
    outside = tmp_path / "outside"
    write_tune(outside / "tune.mid", 40, 0)
    (fresh.root / "results" / "tasks").mkdir(parents=True)
    (fresh.root / "results" / "tasks" / "linked-00000000").symlink_to(outside)
    (entry(fresh, "old-00000000") / "seed-0" / "linked").symlink_to(outside)
    assert "2 entries" in prune(fresh)
    assert [path.name for path in outside.iterdir()] == ["tune.mid"]
    assert not list(fresh.root.glob("results/*/*-00000000"))


def test_a_lock_is_not_taken_through_a_link(tmp_path):
    theirs = tmp_path / "theirs"
    theirs.write_text("another's")
    (tmp_path / ".lock").symlink_to(theirs)
    with pytest.raises(UserError, match=r"\.lock could not be written"), exclusive(tmp_path / ".lock", "it"):
        pass
    assert theirs.read_text() == "another's"


def test_clearing_a_state_removes_the_runs_own_folder_alone(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "latest.pt").write_text("another's")
    linked, own = tmp_path / "linked" / "state", tmp_path / "own" / "state"
    own.mkdir(parents=True)
    linked.parent.mkdir()
    linked.symlink_to(outside)
    (own / "latest.pt").symlink_to(outside / "latest.pt")
    (own / "folder").symlink_to(outside)
    for folder in (linked, own):
        StateStore(folder, every=60).clear()
    assert (outside / "latest.pt").read_text() == "another's"
    assert not own.exists()
    assert list(own.parent.iterdir()) == []


@pytest.mark.parametrize("path", ["../outside", "{root}", "linked", "links"])
def test_a_folder_of_data_is_read_in_place_wherever_it_lies(tmp_path, monkeypatch, path):
    """Above the working folder, by an absolute path, and behind links: read, and never written or deleted."""
    working, outside = tmp_path / "working", tmp_path / "outside"
    (working / "links").mkdir(parents=True)
    write_tune(outside / "tune.mid", 40, 0)
    (working / "linked").symlink_to(outside)
    (working / "links" / "tune.mid").symlink_to(outside / "tune.mid")
    monkeypatch.chdir(working)
    before = listing(outside)
    root = Path(path.format(root=outside))
    dataset = {"kind": "folder", "name": "tunes", "path": str(root)}
    spec = DatasetSpec(name="tunes-0", dataset=dataset, sha256=tree_digest(root), code={})
    acquire_dataset(spec, Path("receipt"))
    assert read_receipt(Path("receipt/dataset.json")).paths == ("tune.mid",)
    assert [file.name for file in Path("receipt").iterdir()] == ["dataset.json"]
    assert listing(outside) == before


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """The time of change and the inode of everything in a folder."""
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in [folder, *folder.rglob("*")]}
