"""How a check speaks: one line when all is well, one message when it isn't, and nothing else."""

from __future__ import annotations

import sys
import warnings

import nbformat
import pytest
import test_checks_01
import test_checks_02
import test_checks_03
import test_checks_04
import test_checks_05
import test_checks_06
import test_checks_07
import test_checks_08
import test_checks_09
import test_checks_14
import torch
from nbclient import NotebookClient
from notebooks import code, notebook
from torch import nn

from gan_course import checks

TABLES = (
    *(test_checks_01, test_checks_02, test_checks_03, test_checks_04),
    *(test_checks_05, test_checks_06, test_checks_07, test_checks_08),
    *(test_checks_09, test_checks_14),
)
TASKS = [name.removeprefix("check_") for name in checks.__all__ if name.startswith("check_")]


def right_d(p, q):
    return -p.log().mean() - (1 - q).log().mean()


def right(p_real, p_fake):
    return right_d(p_real, p_fake), -p_fake.log().mean()


def test_a_right_answer_prints_one_line(capfd):
    assert checks.check_losses_from_probabilities(right) is None
    assert capfd.readouterr() == ("check_losses_from_probabilities: all 5 tests passed\n", "")


def test_a_part_prints_its_name(capfd):
    checks.check_losses_from_probabilities(right, part="batches")
    assert capfd.readouterr() == ("check_losses_from_probabilities, part 'batches': all 2 tests passed\n", "")


def test_an_unknown_part_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no part 'value': its parts are pairs, batches$"):
        checks.check_losses_from_probabilities(right, part="value")


@pytest.mark.parametrize("not_a_function", [torch.zeros(10, 2), nn.Linear(2, 2), None, "ring"])
def test_a_result_in_place_of_the_function_is_explained(not_a_function):
    with pytest.raises(
        checks.CheckFailed, match=r"wants the function ring itself but got .*checks\.check_ring\(ring\)"
    ):
        checks.check_ring(not_a_function)


def test_a_stub_stays_a_not_implemented_error_with_a_friendly_text():
    def ring(count, modes, radius, spread):
        # YOUR CODE HERE
        raise NotImplementedError()

    with pytest.raises(NotImplementedError, match=r"^ring is not written yet: put your code where") as error:
        checks.check_ring(ring)
    assert type(error.value) is NotImplementedError
    assert error.value._render_traceback_() == [f"NotImplementedError: {error.value}"]


def test_the_stub_that_is_missing_is_named_and_not_its_caller():
    def helper():
        raise NotImplementedError()

    def ring(count, modes, radius, spread):
        return helper()

    with pytest.raises(NotImplementedError, match=r"^helper is not written yet"):
        checks.check_ring(ring)


def test_a_not_implemented_error_of_pytorch_is_a_wrong_answer():
    with pytest.raises(checks.CheckFailed, match="NotImplementedError: Module"):
        checks.check_losses_from_probabilities(lambda p, q: nn.Module()(p))


def test_an_exception_is_reported_with_its_type_its_text_and_the_line():
    def ring(count, modes, radius, spread):
        noise = torch.randn(count, 3)
        return torch.zeros(count, 2) + noise

    with pytest.raises(checks.CheckFailed) as failure:
        checks.check_ring(ring)
    message = " ".join(str(failure.value).split())
    assert "tried: ring(count=10, modes=8, radius=1, spread=0.1)" in message
    assert "got: the error RuntimeError: The size of tensor a (2)" in message
    assert "(in the line: return torch.zeros(count, 2) + noise)" in message
    assert failure.value.__suppress_context__


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_the_stop_button_still_stops(error):
    def ring(count, modes, radius, spread):
        raise error

    with pytest.raises(error):
        checks.check_ring(ring)


def test_warnings_and_stderr_of_an_answer_are_dropped_because_they_cost_all_points(capfd, recwarn):
    def noisy(p_real, p_fake):
        warnings.warn("deprecated", stacklevel=1)
        print("progress 100%", file=sys.stderr)
        return right(p_real, p_fake)

    checks.check_losses_from_probabilities(noisy)
    assert capfd.readouterr().err == ""
    assert not recwarn.list


def test_answers_work_where_the_notebook_has_switched_gradients_off():
    with torch.no_grad():
        checks.check_losses_from_logits(test_checks_02.from_logits(test_checks_02.soft_d, test_checks_02.soft_g))
        checks.check_discriminator_step(test_checks_03.d_step())


@pytest.mark.parametrize(
    "value",
    [None, 3, "text", [1.0], (None, None), torch.zeros(3), torch.zeros(0, 2), torch.tensor([1j, 2j] * 4), print],
)
@pytest.mark.parametrize("task", TASKS)
def test_nonsense_of_any_kind_gets_a_message_and_no_crash(task, value):
    with pytest.raises(checks.CheckFailed, match="hint: "):
        getattr(checks, f"check_{task}")(lambda *arguments: value)


@pytest.mark.parametrize("task", TASKS)
def test_every_check_is_tried_with_five_wrong_and_two_right_answers(task):
    assert sum(row[0] == task for table in TABLES for row in table.WRONG) >= 5
    assert sum(row[0] == task for table in TABLES for row in table.RIGHT) >= 2


def test_jupyter_shows_the_message_alone(tmp_path):
    """A real kernel: what a student sees is the message, with no traceback through the course's code."""
    cells = [
        code("from gan_course import checks"),
        code("checks.check_discriminator_batch(lambda real, fake: (real, fake))"),
        code("def ring(count, modes, radius, spread):\n    raise NotImplementedError()"),
        code("checks.check_ring(ring)"),
        code("def ring(count, modes, radius, spread):\n    half = 1 / 0\n    return half"),
        code("checks.check_ring(ring)"),
    ]
    ran = nbformat.from_dict(notebook(*cells))
    client = NotebookClient(ran, allow_errors=True, timeout=120, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    (wrong,), (stub,), (crash,) = (ran.cells[i].outputs for i in (1, 3, 5))
    assert wrong.ename == "CheckFailed"
    assert wrong.traceback == wrong.evalue.splitlines()
    assert wrong.traceback[0] == "check_discriminator_batch: not right yet."
    assert stub.ename == "NotImplementedError"
    assert stub.traceback == [f"NotImplementedError: {stub.evalue}"]
    assert stub.evalue.startswith("ring is not written yet")
    assert "(in the line: half = 1 / 0)" in " ".join(crash.evalue.split())
