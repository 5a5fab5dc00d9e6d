"""How a check speaks: one line when all is well, one message when it isn't, and nothing else."""

from __future__ import annotations

import builtins
import inspect
import random
import re
import sys
import time
import warnings

import numpy as np
import pytest
import torch
from answers import chapter01, chapter02, chapter03
from notebooks import executed
from torch import nn

from gan_course import checks
from gan_course.checks import report, sandbox, values
from gan_course.checks.evidence import Evidence

TASKS = [name.removeprefix("check_") for name in checks.__all__ if name.startswith("check_")]


right = chapter02.from_probabilities(chapter02.right_d, chapter02.right_g)


def test_a_right_answer_prints_one_line(capfd):
    assert checks.check_losses_from_probabilities(right) is None
    assert capfd.readouterr() == ("check_losses_from_probabilities: all 8 tests passed\n", "")


def test_a_part_prints_its_name(capfd):
    checks.check_losses_from_probabilities(right, part="batches")
    assert capfd.readouterr() == ("check_losses_from_probabilities, part 'batches': all 5 tests passed\n", "")


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


def test_a_name_that_python_does_not_know_is_perhaps_an_import_that_is_missing():
    namespace: dict = {}
    exec("def jensen_shannon(p, q, dx): return NOWHERE.xlogy(p, q).sum()", namespace)
    with pytest.raises(checks.CheckFailed) as failure:
        checks.check_jensen_shannon(namespace["jensen_shannon"])
    assert "name 'NOWHERE' is not defined" in failure.value.facts["got"]
    assert "is an import missing?" in failure.value.facts["hint"]


def test_a_result_that_is_no_number_gets_no_hint_about_its_shape():
    def jump_to(x, noise, start, t, betas):
        return x * float("nan")

    with pytest.raises(checks.CheckFailed) as failure:
        checks.check_jump_to(jump_to)
    assert "root" in failure.value.facts["hint"] and "shape" not in failure.value.facts["hint"]


def test_the_stop_button_still_stops():
    def ring(count, modes, radius, spread):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checks.check_ring(ring)


def test_an_answer_that_leaves_python_is_reported_as_an_error():
    with pytest.raises(checks.CheckFailed, match="the error SystemExit"):
        checks.check_ring(lambda count, modes, radius, spread: sys.exit(0))


@pytest.mark.parametrize("task", ["generator_gradients", "paint_range", "frechet_of_features", "speed_up"])
def test_the_right_result_does_not_lie_in_the_frames_above_the_answer(task):
    def thief(*given):
        frame = sys._getframe(1)
        while frame is not None:
            for name in ("right", "expected", "wanted"):
                if name in frame.f_locals:
                    return frame.f_locals[name]
            frame = frame.f_back
        return None

    with pytest.raises(checks.CheckFailed):
        getattr(checks, f"check_{task}")(thief)


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
        checks.check_losses_from_logits(chapter02.smoothed(chapter02.from_logits(chapter02.soft_d, chapter02.soft_g)))
        checks.check_discriminator_step(chapter03.d_step())


@pytest.mark.parametrize(
    "value",
    [None, 3, "text", [1.0], (None, None), torch.zeros(3), torch.zeros(0, 2), torch.tensor([1j, 2j] * 4), print],
)
@pytest.mark.parametrize("task", TASKS)
def test_nonsense_of_any_kind_gets_a_message_and_no_crash(task, value):
    with pytest.raises(checks.CheckFailed, match="hint: "):
        getattr(checks, f"check_{task}")(lambda *arguments: value)


def test_a_check_leaves_the_random_numbers_of_the_notebook_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    checks.check_ring(chapter01.make_ring())
    assert torch.equal(torch.rand(3), expected)


def test_the_message_holds_the_call_the_answer_and_the_right_answer():
    """D(x) = 0.7, D(G(z)) = 0.2: -log 0.7 - log 0.2 = 1.9661 has the argument swapped, right is -log 0.7 - log 0.8."""
    with pytest.raises(checks.CheckFailed) as failure:
        checks.check_losses_from_probabilities(
            chapter02.from_probabilities(lambda p, q: -(p.log() + q.log()).mean(), chapter02.right_g)
        )
    lines = str(failure.value).splitlines()
    assert lines[0] == "check_losses_from_probabilities: not right yet."
    assert lines[1:3] == ["  passed:   no part", "  not yet:  pairs (shown here), batches"]
    assert lines[3] == "  tried:    losses_from_probabilities(p_real=tensor([0.7]), p_fake=tensor([0.2]))"
    assert lines[4:6] == ["  got:      L_D = 1.9661", "  expected: L_D = 0.57982"]


def test_a_full_check_says_which_parts_passed_and_shows_the_first_that_did_not():
    """All parts run: the last one passes although the first has failed."""
    failing = chapter03.average_with(chapter03.sharing)
    with pytest.raises(checks.CheckFailed) as failure:
        checks.check_update_average(failing)
    lines = str(failure.value).splitlines()
    assert lines[:3] == [
        "check_update_average: not right yet.",
        "  passed:   values, buffers",
        "  not yet:  apart (shown here)",
    ]
    assert [line.split()[0] for line in lines if line[2] != " "][3:] == ["tried:", "got:", "expected:", "hint:"]
    with pytest.raises(checks.CheckFailed) as failure:
        checks.check_update_average(failing, part="apart")
    assert str(failure.value).splitlines() == ["check_update_average, part 'apart': not right yet.", *lines[3:]]


def test_a_check_tells_its_task_and_its_parameters():
    assert list(inspect.signature(checks.check_ring).parameters) == ["answer", "part"]
    assert "``ring(count, modes, radius, spread) -> [count, 2]``" in checks.check_ring.__doc__
    assert checks.check_ring.__name__ == "check_ring" and checks.check_ring.__module__ == "gan_course.checks.chapter01"


def test_jupyter_shows_the_message_alone(tmp_path):
    """A real kernel: what a student sees is the message, with no traceback through the course's code."""
    cells = [
        "from gan_course import checks",
        "checks.check_discriminator_batch(lambda real, fake: (real, fake))",
        "def ring(count, modes, radius, spread):\n    raise NotImplementedError()",
        "checks.check_ring(ring)",
        "def ring(count, modes, radius, spread):\n    half = 1 / 0\n    return half",
        "checks.check_ring(ring)",
    ]
    ran = executed(tmp_path, *cells, allow_errors=True)
    (wrong,), (stub,), (crash,) = (ran.cells[i].outputs for i in (1, 3, 5))
    assert wrong.ename == "CheckFailed"
    assert wrong.traceback == wrong.evalue.splitlines()
    assert wrong.traceback[0] == "check_discriminator_batch: not right yet."
    assert stub.ename == "NotImplementedError"
    assert stub.traceback == [f"NotImplementedError: {stub.evalue}"]
    assert stub.evalue.startswith("ring is not written yet")
    assert "(in the line: half = 1 / 0)" in " ".join(crash.evalue.split())


# ------------------------------------------------------------------------------------------ no trace


def state_of_the_notebook():
    return {
        "gradients": torch.is_grad_enabled(),
        "dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "torch": torch.get_rng_state().tolist(),
        "numpy": np.random.get_state()[1].tolist(),  # noqa: NPY002
        "python": random.getstate(),
        "allclose": torch.allclose,
        "len": builtins.len,
    }


def careless(p_real, p_fake):
    """A right answer that leaves everything in disorder."""
    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.manual_seed(5), np.random.seed(5), random.seed(5)  # noqa: NPY002
    torch.allclose = lambda *all_, **named: True
    builtins.len = lambda of: 7
    return right(p_real, p_fake)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_answer_leaves_no_trace(dtype):
    torch.set_default_dtype(dtype)
    try:
        before = state_of_the_notebook()
        checks.check_losses_from_probabilities(careless)
        assert state_of_the_notebook() == before
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (
            checks.check_losses_from_logits,
            chapter02.smoothed(chapter02.from_logits(chapter02.soft_d, chapter02.soft_g)),
        ),
        (checks.check_discriminator_step, chapter03.d_step()),
        (checks.check_make_generator, chapter03.GeneratorClass),
        (checks.check_ring, chapter01.make_ring()),
    ],
)
def test_the_notebooks_own_dtype_may_be_float64(check, answer):
    torch.set_default_dtype(torch.float64)
    try:
        check(answer)
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_network_that_is_built_once_and_given_each_time_is_refused_and_stays_as_it_was():
    network = chapter03.GeneratorClass()
    network.append_norm = nn.BatchNorm1d(3)  # buffers, too
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(checks.CheckFailed, match="the same network"):
        checks.check_make_generator(lambda: network)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(module.training for module in network.modules())
    assert all(p.dtype == torch.float32 and p.grad is None for p in network.parameters())


@pytest.mark.parametrize(
    ("module", "name"),
    [(torch, "allclose"), (torch, "isclose"), (torch, "equal"), (torch.Tensor, "__eq__"), (torch.Tensor, "isfinite")],
)
def test_an_answer_that_replaces_what_compares_fails_all_the_same(module, name, monkeypatch):
    monkeypatch.setattr(module, name, lambda *all_, **named: True)
    with pytest.raises(checks.CheckFailed):
        checks.check_losses_from_probabilities(lambda p, q: (torch.tensor(1.0), torch.tensor(1.0)))


def test_an_answer_that_replaces_the_judge_fails_all_the_same():
    def cheat(p_real, p_fake):
        for module in (report, values):
            module.near = module.equal = lambda *all_: True
        return 1.0, 1.0

    with pytest.raises(checks.CheckFailed):
        checks.check_losses_from_probabilities(cheat)
    assert not values.near(1.0, 2.0)


class AlwaysEqual(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return torch.tensor(True)


class EqualNumber(float):
    def __eq__(self, other):
        return True

    __hash__ = float.__hash__


@pytest.mark.parametrize("trick", [torch.ones(()).as_subclass(AlwaysEqual), EqualNumber(1.0), np.float32(1.0)])
def test_a_result_is_made_plain_before_it_is_compared(trick):
    with pytest.raises(checks.CheckFailed, match=r"got: +L_D = 1\n"):
        checks.check_losses_from_probabilities(lambda p, q: (trick, trick))


def test_an_answer_that_never_ends_is_stopped(monkeypatch):
    def endless(p_real, p_fake):
        while True:
            try:
                time.sleep(0.01)
            except Exception:  # as a student's loop might
                continue

    monkeypatch.setattr(report, "time_limit", lambda: sandbox.time_limit(0.3))
    started = time.perf_counter()
    with pytest.raises(checks.CheckFailed, match="nothing within 10 seconds"):
        checks.check_losses_from_probabilities(endless)
    assert time.perf_counter() - started < 5


def test_what_an_answer_prints_is_capped(capfd):
    def chatty(p_real, p_fake):
        print("x" * 9_000)
        return right(p_real, p_fake)

    checks.check_losses_from_probabilities(chatty)
    out = capfd.readouterr().out
    assert out.count("x") == 10_000 - 1 and "is left out" in out  # one character is the first line's end
    assert "all 8 tests passed" in out


def test_a_long_exception_is_shortened():
    class Odd(Exception):
        def __str__(self):
            return "y" * 5_000

    def raises(p_real, p_fake):
        raise Odd

    with pytest.raises(checks.CheckFailed) as failure:
        checks.check_losses_from_probabilities(raises)
    assert len(str(failure.value)) < 2_000


# ------------------------------------------------------------------------------------------ hints


def hint_of(check, answer) -> str:
    with pytest.raises(checks.CheckFailed) as failure:
        check(answer)
    return " ".join(str(failure.value).split("hint:")[1].split())


def test_a_mistake_that_fits_one_input_only_is_not_named():
    """For the first input this is the sum of both halves' mistakes; for the others it is nothing that anybody knows."""
    first_only = chapter02.from_probabilities(
        lambda p, q: chapter02.right_d(p, q) / 2 if len(p) == 1 and p[0] > 0.6 else torch.tensor(5.0), chapter02.right_g
    )
    assert "half of it" not in hint_of(checks.check_losses_from_probabilities, first_only)


def test_two_mistakes_that_nothing_tells_apart_are_both_named():
    evidence = Evidence()
    for given in (b"one", b"two"):
        evidence.observe("it", [(1.0, "First."), (1.0, "Second."), (2.0, "Third.")], lambda w: w == 1.0, False, given)
    assert evidence.hint("it", "General.") == "First. Or: Second."
    evidence.observe("it", [(1.0, "First."), (2.0, "Second.")], lambda w: w == 1.0, False, b"three")
    assert evidence.hint("it", "General.") == "First."
    evidence.observe("it", [(3.0, "First.")], lambda w: w == 1.0, True, b"four")  # there it would have been wrong
    assert evidence.hint("it", "General.") == "General."


def test_one_input_twice_is_no_evidence():
    evidence = Evidence()
    for _ in range(2):
        evidence.observe("it", [(1.0, "First.")], lambda w: w == 1.0, False, b"one")
    assert evidence.hint("it", "General.") == "General."


def test_a_number_is_asked_for_as_a_number():
    assert hint_of(checks.check_growth_factor, lambda rate, weight: "1.1") == "Return one number."
    assert hint_of(checks.check_growth_factor, lambda rate, weight: True) == "Return one number."


def test_a_nan_is_traced_to_the_operation_and_the_line():
    def naive(p, q, dx):
        middle = (p + q) / 2
        ratio = p / middle
        return (p * ratio.log()).sum() * dx

    with pytest.raises(checks.CheckFailed) as failure:
        checks.check_jensen_shannon(naive, part="zeros")
    message = " ".join(str(failure.value).split())
    assert re.search(r"\(the first NaN came from \w*div\w*, in the line: ratio = p / middle\)", message)


def test_no_hint_says_a_sentence_twice():
    assert report.each_sentence_once("Look. Return one number. Return one number.") == "Look. Return one number."


# ------------------------------------------------------------------------------------------ shapes and kinds


@pytest.mark.parametrize(
    ("found", "allowed", "said"),
    [
        ([7, 2], [[6, 2]], "Axis 0, counted from 0, has length 7 and should have 6."),
        ([2, 6], [[6, 2]], "Axes 0 and 1, counted from 0, are exchanged."),
        ([2, 4, 3], [[4, 3, 2]], "The axes are in another order."),
        ([3, 5, 4], [[3, 4]], "There is an axis too many: number 1, counted from 0, of length 5."),
        ([3, 3], [[3]], "There is an axis too many."),
        ([5, 3, 4], [[4, 4]], "There is an axis too many."),
        ([4, 1, 4, 2], [[4, 2]], "There are 2 axes too many."),
        ([], [[4]], "An axis is missing: number 0, counted from 0, of length 4."),
        ([5], [[3, 4]], "An axis is missing."),
        ([5], [[3, 4, 4]], "2 axes are missing."),
        ([5, 784], [[5, 1, 28, 28], [5, 783]], "Axis 1, counted from 0, has length 784 and should have 783."),
    ],
)
def test_what_is_wrong_with_a_shape_is_said_axis_by_axis(found, allowed, said):
    assert values.why_not_shape(found, allowed) == said


def test_a_wrong_shape_is_told_before_the_hint_about_the_values():
    hint = hint_of(checks.check_generator_gradients, lambda logits: (logits.sum(), logits.sum(), logits.sum()))
    assert hint.startswith("An axis is missing: number 0, counted from 0, of length 4. Differentiate")


def attempt_at(function):
    return report.Attempt("answer", function, ["x"], "", Evidence(), sandbox.Originals())


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1.0])
def test_an_argument_with_any_number_in_it_may_come_out_as_it_went_in_and_no_other_way(number):
    given = torch.tensor([number, 2.0])
    assert torch.equal(attempt_at(lambda x: x[1:])(given), torch.tensor([2.0]))
    with pytest.raises(report.Difference, match="x was changed"):
        attempt_at(lambda x: x.add_(1))(given.clone())


@pytest.mark.parametrize("number", [3, np.int64(3), torch.tensor(3)])
def test_a_whole_number_is_one_of_any_kind(number):
    attempt_at(lambda x: x).whole(values.plain(number), "Count.")


@pytest.mark.parametrize("number", [3.0, np.float32(3), torch.tensor(3.0)])
def test_a_number_with_a_point_is_no_whole_number(number):
    with pytest.raises(report.Difference, match="the result = 3, of the kind float"):
        attempt_at(lambda x: x).whole(values.plain(number), "Count.")
