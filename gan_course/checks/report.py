"""How a check runs and what it says.

A check has named parts. A part is a function that receives an :class:`Attempt`, calls the student's function through it
and compares what comes back. The student sees which parts passed, and for the first that did not: what was tried, what
came back, what was expected, and a hint.

A hint names a mistake only when that mistake, and no third one, explains all that came back, on two different inputs
at least. So a part goes on after its first difference: the other inputs tell mistakes apart (:class:`Evidence`).
"""

from __future__ import annotations

import contextlib
import re
import textwrap
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, Protocol

import numpy as np
import torch
from torch import Tensor, equal, nn

from gan_course.checks.draws import nudged
from gan_course.checks.evidence import Evidence, Mistakes
from gan_course.checks.passed import note
from gan_course.checks.sandbox import SECONDS, SEED, Originals, OutOfTime, little_output, no_trace, time_limit
from gan_course.checks.values import (
    as_double,
    describe,
    finite,
    looks_random,
    near,
    origin,
    plain,
    same,
    shortened,
    why_not_shape,
)
from gan_course.language import tr, tr_later

Part = Callable[["Attempt"], None]
Parts = Mapping[str, Part]

RESULT = tr_later("the result")
RETURNS_NOTHING = tr_later("Does your function end in a return statement?")
NOT_FINITE = tr_later(
    "NaN is what 0/0, the root or the logarithm of a negative number and infinity minus infinity give; infinity comes "
    "from 1/0, log 0 and large exponentials. Print what goes into that operation."
)
UNKNOWN_NAME = tr_later(
    "Python does not know this name. Is it misspelt, or is an import missing? The chapter's imports do not count here: "
    "add the line that you need to your cell."
)


class CheckFailed(AssertionError):
    """The answer is not right yet. Jupyter shows the message alone, without a traceback through the course's code.

    ``facts``: what the message says, by its names: tried, got, expected, hint.
    """

    def __init__(self, message: str, facts: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.facts = dict(facts or {})

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()


class Check(Protocol):
    """What students and graded cells call."""

    def __call__(self, answer: Callable[..., Any], part: str | None = None) -> None: ...


CHECKS: dict[str, Check] = {}  # by their names, check_NAME


def check(signature: str, changes: str = "") -> Callable[[Callable[[], Parts]], Check]:
    """Turn a function that makes the parts of ``check_NAME`` into the check itself, ``check_NAME(answer, part=None)``.

    ``signature``: what the student is to write, ``NAME(argument, argument [shape], ...) -> result``. ``changes``: the
    argument that the function may change; all others must come out as they went in. The check runs all parts, or one
    of them, and prints one line when the answer is right. It raises :class:`CheckFailed` for a wrong answer,
    ``NotImplementedError`` for a stub that is not written yet, ``ValueError`` for an unknown part.
    """
    name, listed = re.match(r"(\w+)\((.*)\) ->", signature).groups()  # type: ignore[union-attr]
    arguments = [argument.split()[0] for argument in re.sub(r"\[.*?\]", "", listed).split(",") if argument]

    def decorate(make_parts: Callable[[], Parts]) -> Check:
        def checked(answer: Callable[..., Any], part: str | None = None) -> None:
            with no_trace():
                parts = make_parts()
                _run(name, answer, arguments, changes, parts, part)

        checked.__name__ = checked.__qualname__ = make_parts.__name__
        checked.__module__ = make_parts.__module__
        checked.__doc__ = f"Check ``{signature}``: all of its parts, or the one called ``part``."
        CHECKS[checked.__name__] = checked
        return checked

    return decorate


def cases(compare: Callable[..., Any], *rows: Iterable[Any], nudge: bool = False, **always: Any) -> Part:
    """A part that compares answers case by case: ``compare(attempt, *row, **always)`` for each of ``rows``.

    ``nudge``: a grader moves the numbers of every row a little (:func:`nudged`).
    """
    if nudge:
        rows = tuple(nudged(row, seed) for seed, row in enumerate(rows))

    def part(attempt: Attempt) -> None:
        first = None
        for row in rows:
            try:
                compare(attempt, *row, **always)
            except Difference as difference:
                first = first or difference
        if first:
            raise first

    return part


def _run(name: str, answer: Any, arguments: Sequence[str], changes: str, parts: Parts, part: str | None) -> None:
    if part is not None and part not in parts:
        raise ValueError(f"check_{name} has no part {part!r}: its parts are {', '.join(parts)}")
    if not callable(answer) or isinstance(answer, nn.Module):
        raise CheckFailed(
            tr(
                "check_{name} wants the function {name} itself but got {got}: write "
                "checks.check_{name}({name}), with no brackets after the second {name}"
            ).format(name=name, got=describe(plain(answer)))
        )
    title = f"check_{name}" if part is None else tr("check_{name}, part {part!r}").format(name=name, part=part)
    chosen = list(parts) if part is None else [part]
    evidence, originals = Evidence(), Originals()
    passed: list[str] = []
    failed: dict[str, Difference] = {}
    attempt = Attempt(name, answer, arguments, changes, evidence, originals)
    try:
        with little_output(), time_limit():
            for each in chosen:
                try:
                    parts[each](attempt)
                    passed.append(each)
                except Difference as difference:
                    failed[each] = difference
            calls = attempt.calls
            if failed:  # the parts that nobody asked for may still tell mistakes apart
                for each in parts.keys() - set(chosen):
                    with contextlib.suppress(Difference, NotImplementedError):
                        parts[each](attempt)
    except OutOfTime:
        if not failed:
            text = tr("A check takes less than a second with most answers. Is there a loop that never ends?")
            late = {"tried": attempt.call, "expected": tr("an answer")}
            late["got"] = tr("nothing within {seconds:g} seconds").format(seconds=SECONDS)
            failed = {each: Difference(late, text) for each in chosen if each not in passed}
    finally:
        originals.put_back()
    if failed:
        first = next(iter(failed.values()))
        facts = first.facts | {"hint": evidence.hint(first.about, first.hint)}
        raise CheckFailed(_message(title, passed, list(failed), facts, of_many=part is None), facts) from None
    note(name, chosen, len(parts))
    said = tr("{title}: all {calls} tests passed") if calls > 1 else tr("{title}: passed")
    print(said.format(title=title, calls=calls))


#: What stands before each line of a message.
NAMES = (
    tr_later("passed"), tr_later("not yet"), tr_later("tried"), tr_later("got"), tr_later("expected"), tr_later("hint"),
)  # fmt: skip


def _message(title: str, passed: list[str], failed: list[str], facts: dict[str, str], of_many: bool) -> str:
    first, *later = failed
    shown = tr("{part} (shown here)").format(part=first)
    parts = {"passed": ", ".join(passed) or tr("no part"), "not yet": ", ".join([shown, *later])}
    facts = (parts if of_many else {}) | facts | {"hint": each_sentence_once(facts["hint"])}
    lines = [
        textwrap.fill(text, 110, initial_indent=f"  {tr(name) + ':':<10}", subsequent_indent=" " * 12)
        for name, text in facts.items()
    ]
    return "\n".join([tr("{title}: not right yet.").format(title=title), *lines])


def each_sentence_once(text: str) -> str:
    return " ".join(dict.fromkeys(re.split(r"(?<=[.?!]) (?=[A-Z])", text)))


class Difference(Exception):
    """What a part found. ``facts``: tried, got, expected. ``about``: what the evidence for a better hint is about."""

    def __init__(self, facts: dict[str, str], hint: str, about: str = ""):
        super().__init__(facts)
        self.facts, self.hint, self.about = facts, hint, about


class Attempt:
    """Calls the student's function, remembers the call, and reports what is wrong with the answer."""

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        arguments: Sequence[str],
        changes: str,
        evidence: Evidence,
        originals: Originals,
    ):
        self.name, self.function, self.arguments, self.changes = name, function, arguments, changes
        self.evidence, self.originals = evidence, originals
        self.calls, self.call, self.seed = 0, f"{name}()", SEED
        self.values: tuple[Any, ...] = ()

    def __call__(self, *values: Any) -> Any:
        """What the function returns for ``values``, made plain. Its random numbers are the same in every run."""
        self.calls += 1
        named = dict(zip(self.arguments, values, strict=True))
        self.call = f"{self.name}({', '.join(f'{n}={describe(v)}' for n, v in named.items())})"
        self.values = values
        before = {n: _state(v) for n, v in named.items()}
        try:
            with no_trace(self.seed):
                result = plain(self.function(*values))
        except (KeyboardInterrupt, OutOfTime):
            raise
        except BaseException as error:  # SystemExit, too, which would end the notebook's cell without a word
            self.originals.put_back()
            if isinstance(error, NotImplementedError) and not str(error):  # PyTorch's own ones always have a text
                raise _not_written_yet(error) from None
            self.crashed(error)
        finally:
            self.originals.put_back()
        for name, value in named.items():
            if name != self.changes:
                self._unchanged(name, before[name], _state(value))
        return result

    def _unchanged(self, name: str, before: Any, after: Any) -> None:
        """Report an argument that did not come out as it went in."""
        if isinstance(before, Tensor | str):
            if not (before == after if isinstance(before, str) else same(before, after)):
                hint = tr("The caller may still need it: work on a copy, or make a new one.")
                self.fail(tr("{name} was changed").format(name=name), tr("{name} as it was").format(name=name), hint)
        elif before != after:
            changed = [
                tr("{what} was {a}, afterwards {b}").format(what=what, a=a, b=b)
                for (what, a), (_, b) in zip(before, after, strict=False)
                if a != b
            ]
            hint = tr(
                "What is frozen or switched for a while must be thawed or switched back before the function ends."
            )
            self.fail(
                f"{name}: {shortened(changed[0] if changed else 'changed', 200)}",
                tr("{name} as it was").format(name=name),
                hint,
            )

    def check_random(self, draw: Callable[[], Tensor], rows: Callable[[Tensor], Tensor] | None = None) -> None:
        """Report results that are the same at each call, or of which one tells another.

        ``draw()``: what the student's function gives. ``rows``: what of it is drawn independently, ``[N, D]``.
        """
        first = draw()
        self.seed += 1  # the second call finds the random numbers in another state
        try:
            second = draw()
        finally:
            self.seed = SEED
        if rows and not all(looks_random(rows(result)) for result in (first, second)):
            self.fail(
                tr("random results of which one tells another: in turn, in order, or in mirrored pairs"),
                tr("results that are drawn independently of each other"),
                tr("Draw each one anew, from all possible ones, whatever came before it."),
            )
        if first.shape == second.shape and equal(first, second):
            hint = tr("Is a seed set inside of the function? Whoever calls it decides that, outside.")
            self.fail(tr("the same random results from two calls"), tr("other ones at each call"), hint)

    def crashed(self, error: BaseException) -> NoReturn:
        """Report an exception that the student's code raised, with the line of that code."""
        line = getattr(error, "line", None)  # of an answer that runs in another process
        if not isinstance(line, str):
            code = getattr(self.function, "__code__", None)
            frames = [f for f in traceback.extract_tb(error.__traceback__) if code and f.filename == code.co_filename]
            line = frames[-1].line if frames else ""
        where = tr(" (in the line: {line})").format(line=shortened(line, 200)) if line else ""
        hint = tr("Read the error's text first. Then print what goes into the line that fails, and its shape.")
        self.fail(
            tr("the error {error}{where}").format(error=error_text(error), where=where),
            tr("an answer, no error"),
            tr(UNKNOWN_NAME) if type(error) is NameError else hint,
        )

    def fail(self, got: str, expected: str, hint: str, about: str = "") -> NoReturn:
        """Report a difference with the facts that a student needs."""
        raise Difference({"tried": self.call, "got": got, "expected": expected}, hint, about) from None

    def observe(self, about: str, mistakes: Mistakes, made: Callable[[Any], bool], is_right: bool) -> None:
        """Note which of ``mistakes`` explain the last answer: those that were ``made``."""
        given = [as_double(v).numpy().tobytes() if isinstance(v, Tensor) else describe(v).encode() for v in self.values]
        self.evidence.observe(about, mistakes, made, is_right, b" ".join(given))

    def tensor(
        self,
        value: Any,
        *shapes: Sequence[int],
        hint: str,
        what: str = RESULT,
        not_finite: str = NOT_FINITE,
        about: str = "",
    ) -> Tensor:
        """``value`` as a finite tensor of the first of ``shapes``; any of them will do, and a number is shape [].

        ``hint`` is for another shape, behind what is wrong with the axes; ``not_finite`` for NaN and infinity.
        ``about``: what the evidence for a better hint about another shape is about.
        """
        allowed = [list(shape) for shape in shapes]
        number = allowed == [[]]
        what = tr(what)
        wanted = tr("{what} as a tensor of shape {shapes}").format(what=what, shapes=" or ".join(map(str, allowed)))
        if number:
            wanted = tr("{what} as one number").format(what=what)
        if value is None:
            self.fail("None", wanted, RETURNS_NOTHING)
        if [] in allowed and isinstance(value, int | float) and not isinstance(value, bool):
            value = torch.tensor(float(value), dtype=torch.float64)
        if type(value) is not Tensor:
            remedy = (
                tr("Return one number.") if number else tr("Return {what} as one PyTorch tensor.").format(what=what)
            )
            self.fail(describe(value), wanted, remedy)
        if value.is_complex() or (number and value.dtype == torch.bool):
            kind = tr("complex numbers") if value.is_complex() else tr("a truth value")
            self.fail(
                f"{what} = {describe(value)}, {kind}",
                wanted,
                tr("Here {kind} can't be used: return plain numbers.").format(kind=kind),
            )
        is_single = [] in allowed and value.numel() == 1
        if list(value.shape) not in allowed and not is_single:
            axes = tr("Return one number.") if number else why_not_shape(list(value.shape), allowed)
            got = tr("{what} with shape {shape}").format(what=what, shape=list(value.shape))
            self.fail(got, wanted, f"{axes} {hint}", about)
        if not finite(value):
            kind = "NaN" if value.isnan().any() else "infinity"
            with no_trace():
                where = origin(self.function, self.values, kind)
            self.originals.put_back()
            self.fail(
                f"{what} = {describe(value)}{where}",
                tr("{what} without NaN and infinity").format(what=what),
                tr(not_finite),
            )
        return value.reshape(list(shapes[0]))

    def whole(self, value: Any, hint: str, what: str = RESULT) -> None:
        """Report a number, be it a right one, that is kept as a number with a point: 3.0 is no index, no size."""
        what = tr(what)
        if isinstance(value, float) or (type(value) is Tensor and value.is_floating_point()):
            kind = describe(value.dtype) if isinstance(value, Tensor) else "float"
            got = tr("{what} = {value}, of the kind {kind}").format(what=what, value=describe(value), kind=kind)
            self.fail(got, tr("{what} as a whole number, of the kind int").format(what=what), hint)

    def results(self, value: Any, names: Sequence[str]) -> Sequence[Any]:
        """``value`` as two or three results called ``names``."""
        count = len(names)
        if isinstance(value, np.ndarray) and value.shape == (count,):
            value = tuple(value.tolist())
        if type(value) is Tensor and value.ndim and len(value) == count:
            value = tuple(value)
        if not isinstance(value, tuple | list) or len(value) != count:
            listed = ", ".join(names)
            wanted = (tr("two results: {names}") if count == 2 else tr("three results: {names}")).format(names=listed)
            hint = tr("Return all, in this order, with a comma between: {names}.").format(names=listed)
            self.fail(describe(value), wanted, RETURNS_NOTHING if value is None else hint)
        return value

    def close(
        self,
        value: Any,
        expected: Tensor | float,
        hint: str,
        mistakes: Mistakes = (),
        what: str = RESULT,
        tolerance: float = 1e-4,
        about: str | None = None,
        not_finite: str = "",
    ) -> None:
        """Report ``value`` unless it equals ``expected``; ``mistakes`` may give a better hint than ``hint``.

        A mistake may have another shape than ``expected``. ``not_finite``: a hint for NaN and infinity alone.
        """
        what = tr(what)
        wanted, about = as_double(expected), what if about is None else about
        numbers = [(as_double(wrong), text) for wrong, text in mistakes]
        known = [(wrong if finite(wrong) else None, text) for wrong, text in numbers]
        if _has_other_shape(value, wanted):
            self.observe(about, known, lambda wrong: near(value, wrong, tolerance), is_right=False)
        result = self.tensor(value, wanted.shape, hint=hint, what=what, not_finite=not_finite or hint, about=about)
        result = as_double(result)
        is_right = near(result, wanted, tolerance)
        self.observe(about, known, lambda wrong: near(result, wrong, tolerance), is_right)
        if is_right:
            return
        got, right, place = result, wanted, ""
        if wanted.numel() > 6:  # too many to print: show the entry that is farthest off
            index = torch.unravel_index((result - wanted).abs().argmax(), wanted.shape)
            got, right, place = result[index], wanted[index], tr(" at {place}").format(place=[int(i) for i in index])
        label = f"{what}{place} = "
        self.fail(f"{label}{describe(got)}", f"{label}{describe(right)}", hint, about)

    def dtype(self, value: Tensor, wanted: torch.dtype, what: str, hint: str) -> None:
        """Report ``value`` unless its numbers are of the kind ``wanted``."""
        if value.dtype != wanted:
            self.fail(
                tr("{what} of dtype {dtype}").format(what=what, dtype=describe(value.dtype)),
                tr("{what} of dtype {wanted}").format(what=what, wanted=describe(wanted)),
                hint,
            )

    def gradient(self, value: Any, inputs: Tensor, what: str) -> Tensor:
        """d(value)/d(inputs), or a report that there is none."""
        if not (isinstance(value, Tensor) and value.requires_grad):
            self.fail(
                tr("{what} without a gradient").format(what=what),
                tr("{what} that backward() can start from").format(what=what),
                tr(
                    "Training needs the gradient, and somewhere on the way it was cut. .item(), float(), .detach(), "
                    "NumPy, new tensors made from numbers and no_grad all do that: stay with tensors all the way."
                ),
            )
        try:
            (gradient,) = torch.autograd.grad(value.sum(), inputs, retain_graph=True, allow_unused=True)
        except RuntimeError as error:
            self.crashed(error)
        return torch.zeros_like(inputs) if gradient is None else gradient


def _has_other_shape(value: Any, wanted: Tensor) -> bool:
    """Whether ``value`` is a finite tensor that can't be compared with ``wanted`` number by number."""
    if type(value) is not Tensor or value.is_complex() or value.shape == wanted.shape:
        return False
    return not (wanted.ndim == 0 and value.numel() == 1) and finite(value)


def _state(value: Any) -> Any:
    """What must be the same after a call as before."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, nn.Module):
        modes = [(f"{name or 'it'}.training", module.training) for name, module in value.named_modules()]
        names = [(name, p) for name, p in value.named_parameters()]
        trained = [(f"{name}.requires_grad", p.requires_grad) for name, p in names]
        return modes + trained + [(f"{name}.dtype", describe(p.dtype)) for name, p in names]
    return repr(value) if isinstance(value, dict | list) else None


def error_text(error: BaseException) -> str:
    """The type and the first line of an exception's text, whatever a student's own exception does."""
    try:
        text = str(error).strip().split("\n")[0]
    except Exception:
        text = tr("(without a text)")
    return f"{shortened(type(error).__name__, 60)}: {shortened(text)}"


def _not_written_yet(error: NotImplementedError) -> NotImplementedError:
    """The stub's own error with a friendly text; still a plain ``NotImplementedError``, as nbgrader expects."""
    name = getattr(error, "within", None) or traceback.extract_tb(error.__traceback__)[-1].name
    text = tr(
        "{name} is not written yet: put your code where its cell says YOUR CODE HERE, and run that cell first."
    ).format(name=name)
    friendly = NotImplementedError(text)
    friendly._render_traceback_ = lambda: [f"NotImplementedError: {text}"]  # type: ignore[attr-defined]
    return friendly
