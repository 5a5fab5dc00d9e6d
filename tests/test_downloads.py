"""The real download code against a local server that behaves well and badly."""

import gzip
import hashlib
import os
import socket
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from states import bound_by_permissions

from gan_course import data
from gan_course.data import downloads
from gan_course.data.fetching import FileSet, fetch

TRAIN, TEST = 30, 12


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return gzip.compress(header + array.tobytes(), mtime=0)


@pytest.fixture(scope="module")
def arrays():
    draw = np.random.default_rng(0)
    return {
        "train-images-idx3-ubyte.gz": draw.integers(0, 256, (TRAIN, 28, 28), dtype=np.uint8),
        "train-labels-idx1-ubyte.gz": draw.integers(0, 10, TRAIN, dtype=np.uint8),
        "t10k-images-idx3-ubyte.gz": draw.integers(0, 256, (TEST, 28, 28), dtype=np.uint8),
        "t10k-labels-idx1-ubyte.gz": draw.integers(0, 10, TEST, dtype=np.uint8),
    }


@pytest.fixture(scope="module")
def files(arrays):
    return {name: idx(array) for name, array in arrays.items()}


class Server:
    """Serves ``files`` under /good/, /truncated/, /wrong/, /missing/, /dripping/, /silent/ and /endless/."""

    def __init__(self, files):
        self.requests = requests = []
        self.stopping = stopping = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                _, behaviour, name = self.path.split("/")
                requests.append((behaviour, name))
                body = files[name]
                if behaviour == "missing":
                    self.send_error(404)
                    return
                if behaviour == "silent":
                    stopping.wait(30)
                    return
                if behaviour == "wrong":
                    body = body[:-1] + bytes([body[-1] ^ 1])
                self.send_response(200)
                if behaviour != "endless":
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with suppress(OSError):  # the other side may hang up
                    if behaviour == "truncated":
                        self.wfile.write(body[: len(body) // 2])
                    elif behaviour == "dripping":
                        for byte in body:
                            self.wfile.write(bytes([byte]))
                            if stopping.wait(0.2):
                                return
                    elif behaviour == "endless":
                        while not stopping.is_set():
                            self.wfile.write(bytes(1 << 16))
                    else:
                        self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def address(self, behaviour):
        return f"http://127.0.0.1:{self.server.server_port}/{behaviour}/"

    def close(self):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def server(files, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Server(files)
    yield running
    running.close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GAN_COURSE_DATA", raising=False)
    return tmp_path / "cache" / "mnist"


@pytest.fixture
def source(files, server):
    def make(*behaviours):
        sums = {name: hashlib.sha256(body).hexdigest() for name, body in files.items()}
        return FileSet("mnist", sums, tuple(map(server.address, behaviours)), 1, tuple("0123456789"))

    return make


def as_pictures(array):
    return torch.tensor(array.astype(np.float64) / 255 * 2 - 1, dtype=torch.float32).unsqueeze(1)


def assert_nothing_but(folder, names):
    assert sorted(p.name for p in folder.rglob("*") if p.is_file()) == sorted(names)


def test_good(cache, source, server, arrays, files, capfd):
    ds = data.load("mnist", source=source("good"))
    assert ds.name == "mnist" and ds.class_names == tuple("0123456789")
    torch.testing.assert_close(ds.images, as_pictures(arrays["train-images-idx3-ubyte.gz"]))
    assert ds.labels.dtype == torch.int64 and ds.labels.tolist() == arrays["train-labels-idx1-ubyte.gz"].tolist()
    assert_nothing_but(cache, files)
    out, err = capfd.readouterr()
    assert out == f"Downloading mnist (1 MB), once, to {cache}\n" and err == ""


def test_second_load_makes_no_request_and_says_nothing(cache, source, server, capfd):
    data.load("mnist", source=source("good"))
    assert len(server.requests) == 4
    capfd.readouterr()
    data.load("mnist", source=source("good"))
    assert len(server.requests) == 4
    assert capfd.readouterr() == ("", "")


def test_splits(cache, source, arrays):
    one = source("good")
    test, both = downloads.mnist("test", source=one), downloads.mnist("all", source=one)
    torch.testing.assert_close(test.images, as_pictures(arrays["t10k-images-idx3-ubyte.gz"]))
    assert test.labels.tolist() == arrays["t10k-labels-idx1-ubyte.gz"].tolist()
    assert len(both) == TRAIN + TEST and torch.equal(both.images[TRAIN:], test.images)
    with pytest.raises(ValueError, match="split must be one of train, test, all but is 'valid'"):
        downloads.mnist("valid", source=one)


def test_fashion_mnist_is_read_by_the_same_code(cache, source, arrays):
    ds = data.load("fashion_mnist", source=source("good"), split="test")
    torch.testing.assert_close(ds.images, as_pictures(arrays["t10k-images-idx3-ubyte.gz"]))


@pytest.mark.parametrize("bad", ["truncated", "wrong", "missing", "dripping", "silent", "endless"])
def test_mirror_takes_over(bad, cache, source, server, files, monkeypatch):
    monkeypatch.setattr("gan_course.data.fetching._Arriving.room", 3_000_000)
    start = time.monotonic()
    paths = fetch(source(bad, "good"), patience=1.0)
    assert [p.read_bytes() for p in paths] == list(files.values())
    assert_nothing_but(cache, files)
    # The bad address is asked once only: for the other files the good one comes first.
    assert [behaviour for behaviour, _ in server.requests] == [bad, "good", "good", "good", "good"]
    assert time.monotonic() - start < 20


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("truncated", "the transfer broke off"),
        ("wrong", "what arrived is damaged or another file"),
        ("missing", "HTTP 404"),
        ("dripping", "too slow: "),
        ("silent", "no answer in time|too slow: 0 bytes"),
    ],
)
def test_everything_down_says_where_why_and_what_to_do(bad, reason, cache, source, server):
    with pytest.raises(ConnectionError, match=reason) as caught:
        data.load("mnist", source=source(bad, "missing"), patience=0.5)
    said = str(caught.value)
    for behaviour in (bad, "missing"):
        assert f"{server.address(behaviour)}train-images-idx3-ubyte.gz (" in said
    assert "HTTP 404" in said and "check the internet connection" in said
    assert "GAN_COURSE_DATA" in said and "data.load('glyphs'), which needs no network" in said
    assert "\n" not in said
    assert not cache.exists() or not list(cache.iterdir())  # no half file stays behind


def test_no_server_at_all(cache, files):
    with socket.socket() as taken:  # bound but not listening: a connection is refused
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        with pytest.raises(ConnectionError, match=f"{address}train-images-idx3-ubyte.gz .no connection"):
            fetch(FileSet("mnist", dict.fromkeys(files, "0" * 64), (address,), 1, ()), patience=5)


def test_damaged_cache_is_found_and_fetched_again(cache, source, server, files):
    one = source("good")
    fetch(one)
    hurt = cache / "train-images-idx3-ubyte.gz"
    hurt.write_bytes(hurt.read_bytes()[:100])
    paths = fetch(one)
    assert hurt.read_bytes() == files[hurt.name] and paths[0] == hurt
    assert server.requests[4:] == [("good", hurt.name)]


def test_damaged_cache_is_not_used_when_nothing_can_be_fetched(cache, source):
    fetch(source("good"))
    hurt = cache / "t10k-images-idx3-ubyte.gz"
    hurt.write_bytes(b"")
    with pytest.raises(ConnectionError, match="t10k-images"):
        data.load("mnist", source=source("missing"))


def test_cache_folder_that_cannot_be_written(tmp_path, source, monkeypatch):
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    monkeypatch.setenv("GAN_COURSE_CACHE", str(tmp_path / "file"))
    with pytest.raises(OSError, match=r"^the cache can't be used: can't write .*GAN_COURSE_CACHE") as caught:
        fetch(source("good"))
    assert not isinstance(caught.value, ConnectionError)


def test_files_that_may_not_be_read_are_not_called_damaged(open_folder, cache, source, server, files, monkeypatch):
    """Nobody is told to remove them, and they are not replaced."""
    fetch(source("good"))
    locked = cache / "t10k-labels-idx1-ubyte.gz"
    locked.chmod(0)
    with (
        bound_by_permissions(),
        pytest.raises(OSError, match=r"can't be used: .* may not be read .Permission") as caught,
    ):
        fetch(source("good"))
    assert str(locked) in str(caught.value) and "GAN_COURSE_CACHE" in str(caught.value)
    assert len(server.requests) == 4
    monkeypatch.setenv("GAN_COURSE_DATA", str(cache.parent))
    with bound_by_permissions(), pytest.raises(OSError, match=r"may not be read .*; it may well be whole$"):
        data.load("mnist", source=source("good"))
    with bound_by_permissions(), pytest.raises(OSError, match="may not be read"):
        downloads.read_idx(locked)
    locked.chmod(0o600)
    assert locked.read_bytes() == files[locked.name]


def test_local_idx_files_are_used_without_any_request(cache, source, server, files, tmp_path, monkeypatch, arrays):
    (tmp_path / "local" / "mnist").mkdir(parents=True)
    for name, body in files.items():
        (tmp_path / "local" / "mnist" / name).write_bytes(body)
    monkeypatch.setenv("GAN_COURSE_DATA", str(tmp_path / "local"))
    ds = data.load("mnist", source=source("good"))
    assert ds.labels.tolist() == arrays["train-labels-idx1-ubyte.gz"].tolist()
    assert server.requests == [] and not cache.exists()

    hurt = tmp_path / "local" / "mnist" / "t10k-labels-idx1-ubyte.gz"
    hurt.write_bytes(b"something else")
    with pytest.raises(ValueError, match="is damaged or another file") as caught:
        data.load("mnist", source=source("good"))
    assert str(hurt) in str(caught.value) and server.requests == []


@pytest.fixture
def subset(tmp_path, monkeypatch):
    draw = np.random.default_rng(1)
    content = {"images": draw.integers(0, 256, (2_300, 28, 28), dtype=np.uint8)}
    content["labels"] = draw.integers(0, 10, 2_300, dtype=np.uint8)
    np.savez_compressed(tmp_path / "mnist10k.npz", **content)
    monkeypatch.setenv("GAN_COURSE_DATA", str(tmp_path))
    return content


def test_local_subset_is_used_without_any_request(cache, source, server, subset, tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_COURSE_DATA", str(tmp_path))
    train, test = (data.load("mnist", split=s, source=source("good")) for s in ("train", "test"))
    assert (len(train), len(test)) == (300, 2_000)
    torch.testing.assert_close(train.images, as_pictures(subset["images"][:300]))
    assert test.labels.tolist() == subset["labels"][300:].tolist()
    assert server.requests == [] and not cache.exists()


def test_local_subset_is_never_taken_for_fashion_mnist(subset, files, server, cache, tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_COURSE_DATA", str(tmp_path))
    sums = {name: hashlib.sha256(body).hexdigest() for name, body in files.items()}
    fashion = FileSet("fashion_mnist", sums, (server.address("missing"),), 1, ())
    with pytest.raises(ConnectionError, match="fashion_mnist could not be downloaded"):
        data.load("fashion_mnist", source=fashion)


WHOLE = {"images": np.zeros((2_001, 28, 28), dtype=np.uint8), "labels": np.zeros(2_001)}
ODD = {
    "empty": b"",
    "text": b"no archive",
    "few": {"images": np.zeros((5, 28, 28)), "labels": np.zeros(5)},
    "other sizes": WHOLE | {"images": np.zeros((2_001, 32, 32), dtype=np.uint8)},
    "floats": WHOLE | {"images": np.zeros((2_001, 28, 28))},
    "a label of 10": WHOLE | {"labels": np.full(2_001, 10)},
    "half a label": WHOLE | {"labels": np.full(2_001, 0.5)},
}


@pytest.mark.parametrize("content", ODD.values(), ids=ODD)
def test_damaged_local_subset_is_explained(content, cache, tmp_path, monkeypatch):
    path = tmp_path / "mnist10k.npz"
    if isinstance(content, dict):
        np.savez(path, **content)
    else:
        path.write_bytes(content)
    monkeypatch.setenv("GAN_COURSE_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="must hold") as caught:
        downloads.mnist()
    assert str(path) in str(caught.value)


def test_local_folder_that_does_not_exist_is_named(cache, source, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GAN_COURSE_DATA", str(tmp_path / "nowhere"))
    data.load("mnist", source=source("good"))
    assert f"{tmp_path / 'nowhere'}, which is not a folder" in capsys.readouterr().out


def test_read_idx(tmp_path):
    path = tmp_path / "some.gz"
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path.write_bytes(idx(array))
    assert np.array_equal(downloads.read_idx(path), array)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"plain text", "not a whole gzip file"),
        (idx(np.zeros(900, np.uint8))[:-12], "not a whole gzip file"),
        (gzip.compress(bytes([0, 0, 13, 1, 0, 0, 0, 1, 0]), mtime=0), "not an IDX file of bytes"),
        (gzip.compress(b"", mtime=0), "not an IDX file of bytes"),
        (gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 5, 1, 2]), mtime=0), "cut short"),
        (gzip.compress(bytes([0, 0, 8, 3, 0, 0]), mtime=0), "cut short"),
    ],
    ids=["text", "half a file", "floats", "empty", "too few values", "half a header"],
)
def test_read_idx_explains(body, words, tmp_path):
    path = tmp_path / "some.gz"
    path.write_bytes(body)
    with pytest.raises(ValueError, match=words) as caught:
        downloads.read_idx(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("published", [downloads.MNIST, downloads.FASHION_MNIST], ids=lambda source: source.name)
def test_published_sources_are_complete(published):
    assert len(published.mirrors) >= 2 and all(m.startswith("http") and m.endswith("/") for m in published.mirrors)
    assert len({m.split("/")[2] for m in published.mirrors}) == len(published.mirrors)  # different hosts
    assert [name.split("-")[0] for name in published.files] == ["train", "train", "t10k", "t10k"]
    assert all(len(bytes.fromhex(s)) == 32 for s in published.files.values())
    assert len(set(published.files.values())) == 4 and len(published.class_names) == 10


@pytest.mark.skipif("GAN_COURSE_DATA" not in os.environ, reason="no local copy of MNIST")
def test_real_local_copy():
    ds = data.load("mnist")
    assert len(ds) in (8_000, 60_000) and 0.12 < (ds.images.mean() + 1) / 2 < 0.14
