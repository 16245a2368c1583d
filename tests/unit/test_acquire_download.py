import gzip
import hashlib
import os
import resource
import subprocess
import sys
import termios
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pooch
import pytest
from tiny_runs import environment
from web import serving, serving_ftp

from crossover.acquire.dataset import acquire_dataset
from crossover.acquire.receipt import origin_of, read_receipt
from crossover.acquire.transfer import http as transfer
from crossover.acquire.transfer.checksums import record_checksum, recorded_checksum
from crossover.config.datasets import Dataset
from crossover.config.load import parse
from crossover.errors import UserError
from crossover.files import read_json
from crossover.planning.datasets import plan_dataset
from crossover.specs.datasets import DatasetSpec

CONTENT = np.random.Generator(np.random.PCG64(0)).bytes(3_000_000)
PAGE = b"\n<!DOCTYPE html>\n<html><body>Please sign in</body></html>"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def web(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CROSSOVER_MIRROR", raising=False)
    monkeypatch.setattr(transfer, "RETRY_DELAY", 0.01)
    with serving() as server:
        yield server


def spec_of(*files, **changes) -> DatasetSpec:
    content = {"kind": "download", "name": "data", "files": list(files)} | changes
    return plan_dataset(parse(Dataset, content, "data"))


def acquire(*files, **changes) -> Path:
    """The folder of a dataset of these files, acquired."""
    spec = spec_of(*files, **changes)
    folder = Path("resources/downloads", spec.name)
    acquire_dataset(spec, folder)
    return folder


def refusal(*files) -> str:
    with pytest.raises(UserError) as error:
        acquire(*files)
    assert "\n" not in str(error.value)
    assert not list(Path().rglob("dataset.json")), "nothing half-made is vouched for"
    return str(error.value)


# --- what arrives -----------------------------------------------------------------------------------------------


def test_a_file_arrives_as_it_is_and_the_receipt_says_from_where(web):
    url = web.put("/data/a%20b.bin", CONTENT)
    folder = acquire({"url": url, "sha256": digest(CONTENT), "bytes": len(CONTENT)}, version="2.1")
    assert (folder / "a b.bin").read_bytes() == CONTENT
    assert sorted(path.name for path in folder.iterdir()) == ["a b.bin", "dataset.json"]
    receipt = read_receipt(folder / "dataset.json")
    assert receipt.paths == ("a b.bin",)
    assert receipt.subset is None
    source = {"name": "a b.bin", "url": url, "bytes": len(CONTENT), "sha256": digest(CONTENT)}
    assert origin_of(receipt).content() == {
        "name": folder.name, "kind": "download", "origin": url, "version": "2.1", "subset": None, "files": [source],
    }  # fmt: skip


def test_a_file_that_is_there_is_not_fetched_again(web):
    file = {"url": web.put("/a", CONTENT), "sha256": digest(CONTENT)}
    folder = acquire(file)
    (folder / "dataset.json").unlink()
    acquire(file)
    assert len(web.requests) == 1


def test_a_file_put_there_by_hand_will_do(web):
    file = {"url": f"{web.url}/gone", "sha256": digest(CONTENT)}
    assert "put the file at" in refusal(file)
    folder = Path("resources/downloads", spec_of(file).name)
    (folder / "gone").write_bytes(CONTENT)
    assert read_receipt(acquire(file) / "dataset.json").paths == ("gone",)


def test_a_gzip_file_is_kept_as_it_is_even_if_the_server_calls_it_an_encoding(web):
    content = gzip.compress(CONTENT[:1000])
    folder = acquire({"url": web.put("/a.gz", content, kind="text/plain\r\nContent-Encoding: gzip")})
    assert (folder / "a.gz").read_bytes() == content


# --- broken downloads -------------------------------------------------------------------------------------------


def test_a_broken_download_goes_on_where_it_stopped(web):
    url = web.put("/a", CONTENT, breaks=[1_000_000, 500_000])
    assert (acquire({"url": url}) / "a").read_bytes() == CONTENT
    assert [request.headers.get("Range") for request in web.requests] == [None, "bytes=1000000-", "bytes=1500000-"]
    assert sum(request.sent for request in web.requests) == len(CONTENT)


def test_the_next_run_goes_on_too(web, monkeypatch):
    monkeypatch.setattr(transfer, "ATTEMPTS", 1)
    file = {"url": web.put("/a", CONTENT, breaks=[2_000_000]), "sha256": digest(CONTENT)}
    assert "was interrupted" in refusal(file)
    assert (acquire(file) / "a").read_bytes() == CONTENT
    assert web.requests[-1].sent == 1_000_000
    assert not list(Path().rglob(".a*")), "no partial file is left"


def test_what_a_killed_process_left_is_cleared_away_and_gone_on_with(web, eventually):
    file = {"url": web.put("/a", CONTENT, breaks=[1_000_000], pause=30), "sha256": digest(CONTENT)}
    spec = spec_of(file)
    Path("spec.json").write_text(spec.text)
    folder = Path("resources/downloads", spec.name)
    command = [
        sys.executable,
        "-m",
        "crossover",
        "acquire-dataset",
        "--spec",
        "spec.json",
        "--output",
        folder / "dataset.json",
    ]
    part = folder / ".a.part"
    with subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE) as process:
        eventually(lambda: part.is_file() and part.stat().st_size)
        process.kill()
    assert len(list(folder.iterdir())) == 3, "a partial file, what it is of, and a temporary folder"
    web.files["/a"].pause = 0
    assert (acquire(file) / "a").read_bytes() == CONTENT
    assert web.requests[-1].sent < len(CONTENT)
    assert sorted(path.name for path in folder.iterdir()) == ["a", "dataset.json"]


@pytest.mark.parametrize("tag", ['"1"', "", 'W/"weak"'])
def test_a_server_without_ranges_is_asked_for_all_of_it_again(web, tag):
    url = web.put("/a", CONTENT, tag=tag, ranges=tag != '"1"', breaks=[1_000_000])
    assert (acquire({"url": url}) / "a").read_bytes() == CONTENT
    assert web.requests[-1].sent == len(CONTENT)


def test_two_versions_are_never_joined(web, monkeypatch):
    monkeypatch.setattr(transfer, "ATTEMPTS", 1)
    file = {"url": web.put("/a", CONTENT, breaks=[1_000_000])}
    refusal(file)
    web.put("/a", CONTENT[::-1], tag='"2"')
    assert (acquire(file) / "a").read_bytes() == CONTENT[::-1]


def test_more_than_there_is_cannot_be_gone_on_with(web, monkeypatch):
    monkeypatch.setattr(transfer, "ATTEMPTS", 1)
    file = {"url": web.put("/a", CONTENT, breaks=[2_000_000])}
    refusal(file)
    monkeypatch.setattr(transfer, "ATTEMPTS", 2)
    web.put("/a", CONTENT[:1000])
    assert (acquire(file) / "a").read_bytes() == CONTENT[:1000]


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again_after_growing_pauses(web, monkeypatch, status):
    monkeypatch.setattr(transfer, "RETRY_DELAY", 0.05)
    url = web.put("/a", CONTENT, statuses=[status] * 3)
    assert (acquire({"url": url}) / "a").read_bytes() == CONTENT
    moments = [request.moment for request in web.requests]
    pauses = np.diff(moments)
    assert len(pauses) == 3
    assert pauses[2] > 1.5 * pauses[1] > 0.1


def test_a_server_that_does_not_answer_is_given_up(web, monkeypatch):
    monkeypatch.setattr(transfer, "TIMEOUT", (0.2, 0.2))
    monkeypatch.setattr(transfer, "ATTEMPTS", 2)
    assert "timed out" in refusal({"url": web.put("/a", CONTENT, hangs=True)})
    assert len(web.requests) == 2


# --- other places -----------------------------------------------------------------------------------------------


def test_mirrors_are_tried_in_turn(web):
    right = digest(CONTENT)
    page, other, good = (web.put("/page", PAGE), web.put("/other", CONTENT[:-1]), web.put("/good", CONTENT))
    folder = acquire({"url": f"{web.url}/gone/a", "mirrors": [page, other, good, f"{web.url}/a"], "sha256": right})
    assert (folder / "a").read_bytes() == CONTENT
    assert [request.path for request in web.requests] == ["/gone/a", "/page", "/other", "/good"]


def test_when_no_place_has_it_each_says_why(web):
    text = refusal(
        {"url": f"{web.url}/a", "mirrors": ["http://127.0.0.1:9/a", web.put("/b", PAGE)], "sha256": "0" * 64}
    )
    assert f"{web.url}/a returns 404 Not Found; " in text
    assert "http://127.0.0.1:9/a cannot be reached (" in text
    assert "Connection refused" in text
    assert f"{web.url}/b returns a web page (HTML) instead of the file. Check the addresses" in text


def test_a_file_can_come_by_ftp(web, monkeypatch):
    with serving_ftp(CONTENT) as port:
        monkeypatch.setattr(pooch, "FTPDownloader", partial(pooch.FTPDownloader, port=port))  # not that of the system
        places = {"url": f"{web.url}/gone/a", "mirrors": ["ftp://127.0.0.1/pub/a"]}
        assert (acquire(places) / "a").read_bytes() == CONTENT


def test_a_disk_that_is_full_is_told(web):
    """A limit on the size of files does what a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        text = refusal({"url": web.put("/a", CONTENT), "mirrors": [f"{web.url}/b"]})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "a could not be written: File too large; free space" in text
    assert len(web.requests) == 1, "another place would not help"


# --- what is not the file ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("facts", [{}, {"bytes": 77}, {"sha256": "0" * 64}])
@pytest.mark.parametrize("page", [PAGE, b"\xef\xbb\xbf<HTML><head>"])
def test_a_web_page_in_the_place_of_data_is_named(web, page, facts):
    assert "a web page (HTML) instead of the file" in refusal({"url": web.put("/a.csv", page)} | facts)


def test_a_web_page_that_is_asked_for_is_no_error(web):
    assert (acquire({"url": web.put("/a.html", PAGE)}) / "a.html").read_bytes() == PAGE


def test_a_wrong_checksum_is_told_with_both(web):
    wrong = CONTENT[:-1] + b"?"
    text = refusal({"url": web.put("/a", wrong), "sha256": digest(CONTENT)})
    assert f"has the SHA-256 {digest(wrong)}, not {digest(CONTENT)}" in text
    assert not list(Path("resources").rglob("a"))


def test_a_wrong_size_is_told_before_the_download(web):
    text = refusal({"url": web.put("/a", CONTENT, breaks=[10_000]), "bytes": 12})
    assert "has 3000000 bytes, not 12" in text


# --- unknown checksums ------------------------------------------------------------------------------------------


def test_the_first_download_binds_the_later_ones(web):
    file = {"url": web.put("/a", b"first")}
    folder = acquire(file)
    checksums = Path("resources/downloads/checksums.json")
    assert read_json(checksums) == {file["url"]: digest(b"first")}
    for path in folder.iterdir():
        path.unlink()
    web.put("/a", b"second")
    text = refusal(file)
    assert f"has the SHA-256 {digest(b'second')}, not {digest(b'first')}" in text
    assert "delete that line and run again" in text
    checksums.unlink()
    assert (acquire(file) / "a").read_bytes() == b"second"


def test_checksums_that_are_recorded_at_one_time_are_all_kept(tmp_path):
    path = tmp_path / "checksums.json"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: record_checksum(path, f"http://a/{number}", f"{number}"), range(60)))
    record_checksum(path, "http://a/7", "other")
    assert [recorded_checksum(path, f"http://a/{number}") for number in range(60)] == [str(n) for n in range(60)]
    assert recorded_checksum(path, "http://a/60") is None


# --- progress ---------------------------------------------------------------------------------------------------

FETCH = (
    "import sys; from pathlib import Path; from crossover.acquire.transfer.http import fetch\n"
    "fetch([sys.argv[1]], Path('a').absolute(), None, None, '')"
)


def test_a_person_sees_a_bar_and_a_log_does_not(web):
    url = web.put("/a", CONTENT)
    command = [sys.executable, "-c", FETCH, url]
    main, terminal = os.openpty()
    termios.tcsetwinsize(main, (24, 80))
    subprocess.run(command, stderr=terminal, env=environment(), check=True)
    os.close(terminal)
    seen = os.read(main, 10_000).decode()
    os.close(main)
    assert "3.00M/3.00M" in seen
    assert "00:00" in seen, "the time left"
    Path("a").unlink()
    assert subprocess.run(command, capture_output=True, env=environment(), check=True).stderr == b""


# --- the config -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([{"url": "https://a.org/"}], "url"),
        ([{"url": "https://a.org/x?/"}, {"url": "https://b.org/x"}], "two files would be stored as x"),
        ([{"url": "https://a.org/dataset.json"}], "two files would be stored as dataset.json"),
        ([{"url": "https://a.org/..%2F..%2Fx/.hidden"}], "does not end in a plain file name; set name"),
        ([{"url": "https://a.org/x", "name": "../x"}], "name"),
        ([{"url": "file:///etc/passwd"}], "url"),
        ([{"url": "https://a.org/x", "only": ["*.tsv"]}], "set unpack: true"),
        ([{"url": "https://a.org/x", "sha256": "abc"}], "sha256"),
        ([], "files"),
    ],
)
def test_what_cannot_be_downloaded_is_refused_in_the_config(files, words):
    with pytest.raises(UserError, match=words):
        parse(Dataset, {"kind": "download", "name": "data", "files": files}, "config/tasks/x.yaml: dataset")
