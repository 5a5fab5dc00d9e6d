"""The closing quiz: questions over the whole course with self-checking answers, from ``quiz.toml``."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gan_course.arguments import guard

LETTERS = "ABCD"


class Choice(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    text: Annotated[str, Field(min_length=2)]
    reply: Annotated[str, Field(min_length=20)]  # why it is right, or why it tempts
    right: bool = False


class Question(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    chapter: Annotated[str, Field(pattern=r"^(0\d|1[0-5])$")]  # where to look it up
    ask: Annotated[str, Field(pattern=r"\?$")]
    choices: Annotated[list[Choice], Field(min_length=3, max_length=len(LETTERS))]

    @model_validator(mode="after")
    def _one_is_right(self) -> Question:
        right = sum(choice.right for choice in self.choices)
        if right != 1:
            raise ValueError(f"{self.ask!r} has {right} right choices: mark exactly one")
        return self


@cache
def questions() -> tuple[Question, ...]:
    """All questions. Raises ``pydantic.ValidationError`` for one without exactly one right choice."""
    rows = tomllib.loads((Path(__file__).parent / "quiz.toml").read_text(encoding="utf-8"))["questions"]
    return tuple(Question.model_validate(row) for row in rows)


def check(answers: str) -> str:
    """What is to be said of ``answers``, a letter a question, such as ``"BBC"``; a dash leaves one out.

    Returns the replies to the wrong ones and the score. Raises ``ValueError`` with a remedy for too many letters or
    for one that the question doesn't have.
    """
    given = "".join(answers.upper().split())
    if len(given) > len(questions()):
        raise ValueError(f"there are {len(questions())} questions but {len(given)} answers: leave some out")
    lines, right, asked = [], 0, 0
    for number, (letter, question) in enumerate(zip(given, questions(), strict=False), start=1):
        if letter == "-":
            continue
        letters = LETTERS[: len(question.choices)]
        if letter not in letters:
            raise ValueError(f"question {number} has no answer {letter!r}: choose from {', '.join(letters)}, or a dash")
        asked += 1
        choice = question.choices[letters.index(letter)]
        right += choice.right
        if not choice.right:
            lines.append(f"{number} {letter}: {choice.reply} (chapter {question.chapter})")
    return "\n".join([*lines, f"{right} of {asked} right"])


guard(__name__)
