"""What every table of right and wrong answers asserts about a check."""

from __future__ import annotations

import pytest

from gan_course import checks


def assert_passes(task, answer, capfd):
    """The check of `task` accepts `answer` with one line on stdout and nothing on stderr."""
    assert getattr(checks, f"check_{task}")(answer) is None
    out, err = capfd.readouterr()
    assert out.startswith(f"check_{task}: all ") and out.count("\n") == 1
    assert err == ""


def assert_fails(task, answer, hint, capfd):
    """The check of `task` refuses `answer` with the hint that fits, and prints nothing by itself."""
    with pytest.raises(checks.CheckFailed) as failure:
        getattr(checks, f"check_{task}")(answer)
    message = " ".join(str(failure.value).split())
    assert hint in message
    assert "tried: " in message and "expected: " in message and "hint: " in message
    assert capfd.readouterr() == ("", "")
