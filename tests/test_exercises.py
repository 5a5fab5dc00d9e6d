"""The exercise notebooks: solved ones pass, released ones fail only where the student is to write, nbgrader agrees."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from gan_course import checks
from gan_course.commands import notebooks
from gan_course.commands.exercises import exercises

ROOT = Path(__file__).parents[1]
NAMES = sorted(path.stem for path in (ROOT / "solutions").glob("*.ipynb"))
SECONDS = 10  # nbgrader stops a cell after 30


def read(folder: str, name: str):
    return nbformat.read(ROOT / folder / f"{name}.ipynb", as_version=4)


def run(notebook, folder: Path, **options):
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}, **options)
    client.execute()
    notebooks.join_streams(notebook)
    return notebook


def grading(cell) -> dict:
    return cell.metadata.get("nbgrader", {})


def is_check(cell) -> bool:
    return grading(cell).get("locked", False)


def is_use(cell) -> bool:
    """A cell that uses the student's function: it shows something, and counts nothing."""
    return "use" in notebooks.tags(cell)


def seconds(cell) -> float:
    times = cell.metadata.execution
    start, end = (datetime.fromisoformat(times[t]) for t in ("iopub.execute_input", "shell.execute_reply"))
    return (end - start).total_seconds()


def tasks(notebook) -> list[str]:
    return [grading(cell)["grade_id"] for cell in notebook.cells if grading(cell).get("solution")]


def test_the_chapters_have_enough_tasks():
    counts = {name: len(tasks(read("solutions", name))) for name in NAMES}
    wanted = {"01_concepts": 3, "02_loss_math": 6, "03_training": 5}
    wanted |= {"04_convolutional_gans": 4, "05_failure_modes": 5, "06_evaluation": 5}
    assert all(counts[name] >= least for name, least in wanted.items()), counts


def test_every_check_belongs_to_a_task_and_every_task_to_a_check():
    written = [f"check_{task}" for name in NAMES for task in tasks(read("solutions", name))]
    assert sorted(written) == sorted(name for name in checks.__all__ if name.startswith("check_"))


@pytest.mark.parametrize("name", NAMES)
def test_solutions_pass_quickly_and_quietly(name, tmp_path):
    notebook = read("solutions", name)
    for cell in notebook.cells:
        if is_use(cell):  # the processor's seconds: on a crowded machine a cell may wait
            cell.source = (
                f"import time\n_start = time.process_time()\n{cell.source}\nprint(time.process_time() - _start)"
            )
    run(notebook, tmp_path, record_timing=True)
    for cell in notebook.cells:
        if is_use(cell):
            assert cell.outputs and all(output.get("name") != "stderr" for output in cell.outputs), cell.source
            *shown, spent = "".join(output.get("text", "a figure\n") for output in cell.outputs).splitlines()
            assert shown and float(spent) < SECONDS, cell.source
            continue
        if not is_check(cell):
            assert not cell.get("outputs"), cell.source
            continue
        (output,) = cell.outputs
        assert output.output_type == "stream" and output.name == "stdout"
        assert re.fullmatch(r"check_\w+(, part '\w+')?: (all \d+ tests )?passed\n", output.text)
        assert seconds(cell) < SECONDS


@pytest.mark.parametrize("name", NAMES)
def test_released_exercises_fail_only_where_the_student_is_to_write(name, tmp_path):
    notebook = run(read("exercises", name), tmp_path, allow_error_names=["NotImplementedError"])
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        if is_check(cell):
            (output,) = outputs
            assert output.ename == "NotImplementedError"
            called = re.search(r"checks\.check_(\w+)\(\1[,)]", cell.source)
            assert called and output.evalue.startswith(f"{called[1]} is not written yet")
        elif is_use(cell):
            assert outputs[-1].ename == "NotImplementedError", cell.source
        else:
            assert not outputs, cell.source


def test_exercises_are_up_to_date(capsys):
    assert exercises(ROOT, check=True) == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_no_line_of_a_solution_reaches_the_student(name):
    """Neither in a stub nor in a hint: hints are about the idea."""
    released = "\n".join(cell.source for cell in read("exercises", name).cells)
    assert "SOLUTION" not in released
    regions = re.findall(
        r"### BEGIN SOLUTION\n(.*?)\s*### END SOLUTION",
        "\n".join(c.source for c in read("solutions", name).cells),
        re.S,
    )
    assert len(regions) == len(tasks(read("solutions", name)))
    for line in "\n".join(regions).splitlines():
        code = line.split("  #")[0].strip()
        assert len(code) < 5 or code not in released, code
    assert released.count("# YOUR CODE HERE\n    raise NotImplementedError()") == len(regions)


@pytest.mark.parametrize("folder", ["solutions", "exercises"])
@pytest.mark.parametrize("name", NAMES)
def test_grade_ids_are_unique_and_speak(folder, name):
    notebook = read(folder, name)
    ids = [grading(cell)["grade_id"] for cell in notebook.cells if grading(cell)]
    assert len(set(ids)) == len(ids)
    for task in tasks(notebook):
        own = [i for i in ids if re.fullmatch(rf"{task}(_check|_test\d)?", i)]
        count = len(own) - 2
        assert own == [task, f"{task}_check", *(f"{task}_test{n}" for n in range(1, count + 1))]
        assert 2 <= count <= 3  # partial credit
    assert all(grading(cell)["schema_version"] == 3 for cell in notebook.cells if grading(cell))
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in notebook.cells)


@pytest.mark.parametrize("name", NAMES)
def test_the_graded_cells_cover_exactly_the_parts_of_each_check(name):
    for task in tasks(read("solutions", name)):
        cells = [
            c.source for c in read("solutions", name).cells if grading(c).get("grade_id", "").startswith(f"{task}_test")
        ]
        parts = [re.search(r'part="(\w+)"\)$', source)[1] for source in cells]
        with pytest.raises(ValueError) as error:
            getattr(checks, f"check_{task}")(lambda *_: None, part="?")
        assert str(error.value).split("its parts are ")[1] == ", ".join(parts)


@pytest.mark.parametrize("name", NAMES)
def test_the_head_states_points_and_minutes(name):
    notebook = read("solutions", name)
    head = notebook.cells[0].source
    rows = re.findall(r"^\| \d+\. (.+?) \| [●○]{3} \w+ \| (\d+) \| (\d+) \|$", head, re.M)
    sections = [c.source for c in notebook.cells if c.source.startswith("## Task ")]
    points = [0] * len(sections)
    task = -1
    for cell in notebook.cells:
        task += cell.source in sections
        points[max(task, 0)] += grading(cell).get("points", 0)
    assert [int(row[2]) for row in rows] == points
    assert f"| **all** | | **{sum(int(row[1]) for row in rows)}** | **{sum(points)}** |" in head
    for number, ((title, minutes, score), section) in enumerate(zip(rows, sections, strict=True), start=1):
        assert section.startswith(f"## Task {number} · {title}\n\n*")
        assert f"about {minutes} minutes · {score} points*" in section


@pytest.mark.parametrize("name", NAMES)
def test_each_task_is_laid_out_as_statement_stub_check_hints_tests(name):
    cells = read("exercises", name).cells
    for task in tasks(read("exercises", name)):
        at = next(i for i, cell in enumerate(cells) if grading(cell).get("grade_id") == task)
        assert cells[at - 1].source.startswith("## Task ")
        assert re.search(rf'^def {task}\(.*\) -> .+:\n    """.+"""', cells[at].source, re.S)
        assert cells[at + 1].source == f"checks.check_{task}({task})"
        summaries = re.findall(r"<details><summary>(.+?)</summary>", cells[at + 2].source)
        assert summaries == ["Hint 1", "Hint 2", "I pass the first check but not the second"]
    if name != "16_capstone":  # which belongs to no chapter
        assert (ROOT / "chapters" / f"{name}.ipynb").exists() and f"](../chapters/{name}.ipynb)" in cells[0].source


# ------------------------------------------------------------------------------------------ nbgrader itself


def nbgrader(command: str, course: Path) -> None:
    database = f"--CourseDirectory.db_url=sqlite:///{course / 'grades.db'}"
    options = [f"--CourseDirectory.root={course}", "--CourseDirectory.course_id=gan", database]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # nbgrader calls alembic by name
    ran = subprocess.run(
        [sys.executable, "-m", "nbgrader", command, "ps", *options],
        cwd=course,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert ran.returncode == 0, ran.stderr


def test_nbgrader_grades_right_half_right_and_empty_submissions(tmp_path):
    name = "01_concepts"
    source = tmp_path / "source" / "ps"
    source.mkdir(parents=True)
    shutil.copy(ROOT / "solutions" / f"{name}.ipynb", source)
    nbgrader("generate_assignment", tmp_path)
    released = nbformat.read(tmp_path / "release" / "ps" / f"{name}.ipynb", as_version=4)
    assert [c.source for c in released.cells[1:]] == [c.source for c in read("exercises", name).cells[1:]]

    solved = {grading(c)["grade_id"]: c.source for c in read("solutions", name).cells if grading(c).get("solution")}
    half = {task: code for task, code in solved.items() if task != "arrows"}
    half["ring"] = half["ring"].replace("* (2 * torch.pi / modes)", "* (2 * torch.pi / max(modes - 1, 1))")
    assert half["ring"] != solved["ring"]
    for student, answers in {"right": solved, "half": half, "empty": {}}.items():
        notebook = nbformat.from_dict(released)
        for cell in notebook.cells:
            grade_id = grading(cell).get("grade_id")
            if grade_id in answers:
                cell.source = answers[grade_id]
        folder = tmp_path / "submitted" / student / "ps"
        folder.mkdir(parents=True)
        nbformat.write(notebook, folder / f"{name}.ipynb")
    nbgrader("autograde", tmp_path)

    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{tmp_path / 'grades.db'}") as book:
        scores = {s: book.find_submission("ps", s).score for s in ("right", "half", "empty")}
        grades = {g.name: g.auto_score for g in book.find_submission_notebook(name, "ps", "half").grades}
    points = sum(grading(c).get("points", 0) for c in read("solutions", name).cells)
    assert scores == {"right": points, "half": points - 4, "empty": 0}
    assert [n for n, score in sorted(grades.items()) if not score] == [
        "arrows_test1",
        "arrows_test2",
        "arrows_test3",
        "ring_test2",
    ]
