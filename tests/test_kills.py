"""``python -m bench.kills``: that it would find what is lost. What it finds is its own business."""

import os
import random
import signal
import time

import pytest

from gan_course.files import write_whole

pytestmark = pytest.mark.skipif(not hasattr(os, "waitid"), reason="needs fork and waitid")
kills = pytest.importorskip("bench.kills")


def steps(folder, forgetful=False, says=None, count=40):
    """A training that only counts, each step to a file; a forgetful one begins anew where it was killed."""
    path = folder / "run.txt"
    done = path.read_text().split() if path.exists() else []
    if done and len(done) < count and says:
        raise ValueError(says)
    begun = "anew" if done and forgetful else "once"
    for step in range(len(done), count):
        done.append(f"{step}{begun}")
        write_whole(path, " ".join(done).encode())
        time.sleep(0.002)


def tried(**options):
    return kills.try_kills("steps", lambda folder: steps(folder, **options), 6, random.Random(0))


def test_a_training_that_goes_on_is_the_same():
    count = tried()
    assert count["kills"] == 6 and count["same"] >= 3 and not count["different"] and not count["reported"]


def test_a_training_that_forgets_is_different(capsys):
    count = tried(forgetful=True)
    assert count["kills"] == 6 and count["different"] and "instead of" in capsys.readouterr().out


def test_a_sentence_is_a_report(capsys):
    count = tried(says="it can't go on")
    assert count["reported"] and not count["different"] and "steps: it can't go on" in capsys.readouterr().out


def test_a_child_says_how_it_ended(tmp_path):
    def fail(folder):
        raise RuntimeError("a bug")

    assert kills.in_child(lambda folder: None, tmp_path) == (0, "")
    code, said = kills.in_child(fail, tmp_path)
    assert code == 1 and "Traceback" in said and "a bug" in said
    assert kills.in_child(lambda folder: time.sleep(60), tmp_path, 0.05, signal.SIGKILL)[0] == -signal.SIGKILL


def test_no_flipped_bit_is_silent():
    assert kills.flip_bits(5, random.Random(0)) == {"tensors": 0, "header and notes": 0}
