"""Whoever grades draws the checks' inputs anew: right answers pass all the same, and stored ones are worth nothing."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gan_course import checks
from gan_course.checks import draws, passed
from gan_course.commands.grading import isolation, judge, remote, submissions

ROOT = Path(__file__).parents[1]
CHAPTERS = [
    importlib.import_module(f"answers.{path.stem}") for path in sorted((Path(__file__).parent / "answers").glob("*.py"))
]
RIGHT = {task: rows for chapter in CHAPTERS for task, rows in chapter.RIGHT.items()}
# Their functions get nothing to recognise: what they give back is looked at, a network or a report.
WITHOUT_INPUTS = {"make_generator", "make_discriminator", "capstone_report"}
SECRETS = (1, 2, 3, 1234, 999_999, draws.MOST)


def answer_of(row):
    return row[0] if isinstance(row, tuple) else row


def said(task: str, answer, secret: int, part: str | None = None) -> str:
    """What a check finds wrong with the answer, or nothing."""
    with passed.paused(), draws.drawn_by(secret):
        try:
            getattr(checks, f"check_{task}")(answer, part)
        except checks.CheckFailed as failure:
            return str(failure)
    return ""


def parts_of(task: str) -> list[str]:
    with pytest.raises(ValueError) as listed:
        getattr(checks, f"check_{task}")(lambda *values: None, "no such part")
    return re.search("its parts are (.*)", str(listed.value))[1].split(", ")


# ------------------------------------------------------------------------------------------ answers


@pytest.mark.parametrize("task", RIGHT)
def test_right_answers_pass_whatever_the_secret(task):
    """The first one under all secrets, the others under one each."""
    first, *others = map(answer_of, RIGHT[task])
    assert [said(task, first, secret) for secret in SECRETS] == [""] * len(SECRETS)
    assert [said(task, answer, 50 + number) for number, answer in enumerate(others)] == [""] * len(others)


@pytest.mark.parametrize("task", RIGHT)
def test_wrong_answers_fail_whatever_the_secret(task):
    rows = [row for chapter in CHAPTERS for row in chapter.WRONG.get(task, [])]
    assert all(said(task, answer_of(row), 70 + number) for number, row in enumerate(rows))


@pytest.mark.parametrize("task", sorted({task for chapter in CHAPTERS for task in chapter.HALF_RIGHT}))
def test_half_right_answers_keep_their_half(task):
    """What a part is about stays the same: it asks for no more than in a student's own run, and for no less."""
    for chapter in CHAPTERS:
        for answer, passes, fails in chapter.HALF_RIGHT.get(task, []):
            for secret in SECRETS[:4]:
                assert said(task, answer, secret, passes) == ""
                assert said(task, answer, secret, fails) != ""


# ------------------------------------------------------------------------------------------ stored answers


class Table:
    """Recognises the inputs of a student's own run, and returns what the right answer gave for them."""

    def __init__(self, right) -> None:
        self.right, self.rows, self.full = right, {}, False

    def __call__(self, *values):
        key = repr([seen(value) for value in values])
        if not self.full:
            self.rows[key] = self.right(*values)
        return self.rows[key]


def seen(value):
    if isinstance(value, nn.Module):
        return [seen(parameter) for parameter in value.parameters()]
    if isinstance(value, Tensor):
        return [str(value.dtype), value.tolist()]
    return getattr(value, "description", value)


@pytest.mark.parametrize("task", sorted(RIGHT.keys() - WITHOUT_INPUTS))
def test_a_table_of_stored_answers_passes_no_part(task):
    table = Table(answer_of(RIGHT[task][0]))
    assert said(task, table, secret=0) == ""
    table.full = True
    assert [part for part in parts_of(task) if not said(task, table, 4321, part)] == []


TABLED = ["losses_from_probabilities", "generator_gradients", "optimal_discriminator", "jensen_shannon"]


@pytest.mark.skipif(isolation.bubblewrap() is None, reason="needs bubblewrap, and user namespaces")
def test_a_notebook_of_stored_answers_scores_in_a_students_own_run_and_not_when_graded():
    lines = ["import torch", "from torch import tensor"]
    for task in TABLED:
        table = Table(answer_of(RIGHT[task][0]))
        said(task, table, secret=0)
        rows = ", ".join(f"{key!r}: {written(result)}" for key, result in table.rows.items())
        lines += [f"{task.upper()} = {{{rows}}}", f"def {task}(*values):"]
        lines += [f"    return {task.upper()}[repr([seen(value) for value in values])]"]
    source = "\n".join([*lines, inspect.getsource(seen).replace("nn.", "torch.nn.").replace("Tensor", "torch.Tensor")])
    exercise = submissions.read_exercises(ROOT / "solutions")["02_loss_math"]
    submission = submissions.Submission("me", "me.ipynb", exercise.name, (source,))

    def points(secret: int) -> dict[str, float]:
        report = judge.grade(submission, exercise, "bubblewrap", isolation.Limits(), secret)
        given = {task: [v.points for v in report.verdicts if v.task == task] for task in exercise.tasks}
        return {task: sum(given[task]) for task in exercise.tasks}

    assert {task for task, sum_ in points(0).items() if sum_ == 2} == set(TABLED)
    assert set(points(5).values()) == {0.0}


def written(result) -> str:
    """A tensor, or a pair of them, as Python."""
    if isinstance(result, tuple):
        return f"({', '.join(map(written, result))})"
    return f"tensor({result.tolist()}, dtype={result.dtype})"


# ------------------------------------------------------------------------------------------ the draws


def test_a_students_own_run_stays_as_it_is():
    assert draws.seeded(3).initial_seed() == 3
    assert draws.nudged([1.0, "text", torch.ones(2)])[0] == 1.0
    assert draws.hidden(lambda numbers: numbers.random()) == []


def test_a_graders_inputs_follow_from_the_secret_alone():
    def drawn(secret: int):
        with draws.drawn_by(secret):
            return draws.seeded(3).initial_seed(), draws.nudged(1.0), draws.hidden(lambda numbers: numbers.random())

    assert drawn(1) == drawn(1)
    assert all(one != other for one, other in zip(drawn(1), drawn(2), strict=True))
    assert len({seed + 1000 * secret for secret in (0, 1, draws.MOST) for seed in (0, 999)}) == 6
    assert draws.MOST * 1000 + 999 < 1 << 32


def test_nudged_numbers_keep_sign_range_and_kind():
    value = {"a": [0.5, -1.0, 0.0, 7, True, "text"], "b": (torch.tensor([1.0, -1.0, 0.0]), torch.tensor([3]))}
    with draws.drawn_by(9):
        now = draws.nudged(value)
    assert all(0.85 <= new / old <= 0.97 for old, new in zip(value["a"][:2], now["a"][:2], strict=True))
    assert now["a"][2:] == value["a"][2:] and torch.equal(now["b"][1], value["b"][1])
    assert now["b"][0].dtype == torch.float32 and now["b"][0][2] == 0 and 0.85 <= now["b"][0][0] <= 0.97
    assert value["a"][0] == 0.5 and value["b"][0][0] == 1


@pytest.mark.parametrize("task", RIGHT)
def test_nothing_that_a_function_gets_tells_the_secret(task):
    """Arguments travel into the sandbox as pickles, and with them whatever the checks' own classes refer to."""
    remote.by_value()
    secret, sent = 3_141_592, []

    def listening(*values):
        sent.append(remote.pickled(values))
        return answer_of(RIGHT[task][0])(*values)

    assert said(task, listening, secret) == ""
    words = (b"checks.draws", str(secret).encode(), secret.to_bytes(4, "little"), b"_secret")
    assert sent and not any(word in message for message in sent for word in words)
