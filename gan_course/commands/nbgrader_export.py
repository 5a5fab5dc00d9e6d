"""``gan-course nbgrader-export``: lay out a course that nbgrader can release and grade as it is."""

from __future__ import annotations

import copy
import os
import sys
from pathlib import Path
from typing import Any

from gan_course.commands import exercises, notebooks
from gan_course.commands.errors import CourseError
from gan_course.files import write_whole

COURSE = "gan_course"
CONFIG = f'''"""nbgrader's settings for the exercises of {COURSE}, written by gan-course nbgrader-export."""

import os

c = get_config()  # noqa: F821  nbgrader defines it

os.environ["GAN_COURSE_PROGRESS"] = "off"  # the students have passed these tasks, and not whoever grades

c.CourseDirectory.course_id = "{COURSE}"

# Seconds for one cell. A graded one takes a second or two; cells that use an answer may train for a minute.
# An answer in an endless loop is stopped by the check itself, after ten.
c.Execute.timeout = 180
c.Execute.interrupt_on_timeout = True
c.Execute.raise_on_iopub_timeout = False

# nbgrader takes any text on stderr in a graded cell for a failure, without a word. Notes of libraries are none.
c.IgnorePattern.enabled = True
c.IgnorePattern.pattern = r"NNPACK|Warning|warn\\(|it/s\\]|s/it\\]|Could not initialize|oneDNN"

# A loop that prints without end must not fill the disk.
c.LimitOutput.max_lines = 1000
c.LimitOutput.max_traceback = 100
'''


def export(directory: str | Path, root: str | Path = ".") -> int:
    """Write config, ``source/``, ``release/`` and the gradebook into ``directory``; what students handed in stays.

    ``release/`` is made by nbgrader's own ``generate_assignment``. Raises ``CourseError`` where a solution is not
    sound, and where the folder holds something else.
    """
    folder = notebooks.course_folder(root)
    target = Path(directory).resolve()
    sources = notebooks.list_notebooks(folder / "solutions")
    if not sources:
        raise CourseError(f"{folder / 'solutions'} holds no notebooks: there is nothing to export.")
    config = target / "nbgrader_config.py"
    ours = config.is_file() and COURSE in config.read_text(encoding="utf-8", errors="replace")
    if target.exists() and any(target.iterdir()) and not ours:
        raise CourseError(f"{directory} holds something else: name an empty folder, or one made by this command.")
    for source in sources:
        exercises.release(source)  # raises where nbgrader would refuse it, or grade it as nothing
        write_whole(target / "source" / source.stem / source.name, source_text(source).encode())
    if not ours:  # an instructor's own changes stay
        write_whole(config, CONFIG.encode())
    for source in sources:
        generate(target, source.stem)
        print(f"release/{source.stem}/{source.name} written")
    print(
        f"{len(sources)} assignments in {target}. Hand out release/, put what comes back into submitted/STUDENT/NAME/."
    )
    print("Then: gan-course nbgrader-check DIR, nbgrader autograde NAME, nbgrader generate_feedback NAME.")
    return 0


def source_text(source: Path) -> str:
    """The solution with its badge pointing at the exercise: students get that cell as it is."""
    content = copy.deepcopy(notebooks.read(source))
    for cell in content.cells:
        exercises.relink(cell, source.name)
    return notebooks.to_text(content)


def api(course: Path) -> Any:
    """nbgrader's own interface to the course in this folder, with its settings."""
    from nbgrader.apps.api import NbGraderAPI
    from traitlets.config import PyFileConfigLoader

    config = PyFileConfigLoader("nbgrader_config.py", path=str(course)).load_config()
    config.CourseDirectory.root = str(course)
    return NbGraderAPI(config=config)


def generate(course: Path, name: str) -> None:
    """What ``nbgrader generate_assignment`` does. Raises ``CourseError`` with nbgrader's last words."""
    path = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), path])  # nbgrader calls alembic by name
    try:
        result = api(course).generate_assignment(name, force=True)
    finally:
        os.environ["PATH"] = path
    if not result["success"]:
        words = (result.get("log") or result.get("error") or "").strip().splitlines() or ["it did not say why"]
        raise CourseError(f"nbgrader could not make release/{name} ({words[-1][:300]}): see its own messages.")
