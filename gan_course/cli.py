"""``gan-course``: the commands for people who run, teach and publish the course."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from gan_course.commands.errors import CourseError

# Each command imports what it needs inside its function: ``gan-course --help`` must not wait for Jupyter.


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 well, 1 something found or failed, 2 a request that can't be met."""
    for stream in (sys.stdout, sys.stderr):  # an error message may hold characters that the terminal does not know
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    arguments = vars(parser().parse_args(argv))
    command = arguments.pop("command")
    try:
        return command(**arguments)
    except (CourseError, OSError) as error:  # a file that can't be read or written, in a sentence
        print(error, file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("gan_course"):
            raise
        print(f'This command needs {error.name}: install it with python -m pip install -e ".[run]"', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="gan-course", description="Commands to run, teach and publish the course.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, function, text: str, anywhere: bool = False) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        command.set_defaults(command=function)
        if not anywhere:
            command.add_argument("--root", default=".", metavar="FOLDER", help="the course folder (default: this one)")
        return command

    command = add("run", run, "run the chapters and write their pages")
    command.add_argument("--only", nargs="+", default=[], metavar="CHAPTER", help="numbers or names, such as 00 03")
    command.add_argument("--dataset", metavar="NAME", help="replace DATASET where a chapter has it, such as mnist")
    command.add_argument("--profile", metavar="NAME", help="replace PROFILE: auto, cpu or gpu")
    command.add_argument("--seed", type=int, metavar="N", help="replace SEED")
    command.add_argument("--jobs", type=int, default=1, metavar="N", help="chapters side by side (default: 1)")
    command.add_argument("--out", default="build", metavar="FOLDER", help="where the pages go (default: build)")
    command.add_argument(
        "--cell-timeout", type=int, default=1800, metavar="SECONDS", help="that one cell may take (default: 1800)"
    )
    command.add_argument("--update", action="store_true", help="write the fresh outputs back into chapters/")

    command = add("compare", compare, "compare what the chapters print here with what is committed")
    command.add_argument("--out", default="build", metavar="FOLDER", help="where gan-course run left them")

    command = add("doctor", doctor, "say whether this computer is ready for the course")
    command.add_argument("--json", action="store_true", dest="as_json", help="print the findings as JSON")
    command.add_argument("--report", action="store_true", help="print a short code, too, to be read out to a helper")
    command.add_argument("--explain", metavar="CODE", help="print the findings that such a code stands for")

    command = add("bundle", bundle, "make a folder from which the course installs with no network")
    command.add_argument("target", metavar="FOLDER", help="the folder to make, on a stick or a shared drive")
    command.add_argument("--platform", metavar="NAME", help="linux, linux-arm, mac or windows (default: this system)")
    command.add_argument("--python", metavar="VERSION", help="such as 3.12 (default: this one's)")
    command.add_argument(
        "--data", nargs="*", default=["mnist"], metavar="NAME", help="data sets that it holds (default: mnist)"
    )

    command = add("plan", plan, "compute what a hub needs for a class, and show the arithmetic", anywhere=True)
    command.add_argument("--students", type=int, required=True, metavar="N", help="in the class")
    command.add_argument("--at-once", type=int, metavar="N", help="who work at the same time (default: all)")
    command.add_argument(
        "--wait", type=float, default=10, metavar="MIN", help="that the longest chapter may take then (default: 10)"
    )
    command.add_argument("--hours", type=float, default=8, metavar="H", help="that the hub is up (default: 8)")

    command = add("new", new, "write the skeleton of a chapter and of its exercises")
    command.add_argument("name", metavar="NAME", help="such as 16_my_chapter")
    command.add_argument("title", metavar="TITLE", help="such as 'My chapter'")

    command = add("slides", slides, "write each chapter as slides that need no network")
    command.add_argument("--only", nargs="+", default=[], metavar="CHAPTER", help="numbers or names, such as 00 03")
    command.add_argument(
        "--out", default="build/slides", metavar="FOLDER", help="where they go (default: build/slides)"
    )

    command = add("timings", timings, "write docs/timings.md: seconds and memory of each chapter, from runs made here")
    command.add_argument("--out", nargs="+", default=["build"], metavar="FOLDER", help="where gan-course run left them")
    command.add_argument("--note", default="", metavar="TEXT", help="how they ran, a sentence for the page")

    command = add("badges", badges, "stamp the course's public address into every link to itself")
    command.add_argument("--repo", metavar="OWNER/NAME", help="the new address (default: the one in pyproject.toml)")
    command.add_argument(
        "--branch", metavar="NAME", help="the branch that links point at (default: as before, or main)"
    )
    command.add_argument("--check", action="store_true", help="change nothing, list the links that differ")

    command = add("exercises", exercises, "write exercises/ from solutions/")
    command.add_argument("--check", action="store_true", help="change nothing, say whether exercises/ is up to date")

    command = add("translate", translate, "make the course in another language from the original and its catalogues")
    command.add_argument(
        "action", choices=("extract", "build", "check"), help="bring the catalogues in step; write the notebooks; look"
    )
    command.add_argument("--language", default="zh_CN", metavar="CODE", help="such as zh_CN, which is the default")
    command.add_argument("--only", nargs="+", default=[], metavar="NAME", help="begin these, too: numbers or names")
    command.add_argument("--out", default="build", metavar="FOLDER", help="where build/CODE goes (default: build)")

    command = add("grade", grade, "grade a folder of exercise notebooks, each in a sandbox")
    command.add_argument("folder", metavar="FOLDER", help="holds the students' notebooks")
    command.add_argument("--out", default="grades", metavar="FOLDER", help="where the tables go (default: grades)")
    command.add_argument("--jobs", type=int, default=1, metavar="N", help="submissions side by side (default: 1)")
    command.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster that grades instead")
    command.add_argument(
        "--seconds", type=float, default=10, metavar="S", help="of processor that one check may take (default: 10)"
    )
    command.add_argument(
        "--memory", type=int, default=2000, metavar="MB", help="that one submission may take (default: 2000)"
    )
    command.add_argument("--trust", action="store_true", help="run them without isolation where there is none")
    command.add_argument(
        "--secret",
        type=int,
        metavar="NUMBER",
        help="draw the checks' inputs by it (default: that of --out, or a new one)",
    )

    command = add("nbgrader-export", nbgrader_export, "lay out an nbgrader course from solutions/")
    command.add_argument("directory", metavar="DIR", help="an empty folder, or one that this command has made")

    command = add("nbgrader-check", nbgrader_check, "find submissions that nbgrader would grade wrongly", anywhere=True)
    command.add_argument("directory", metavar="DIR", help="the nbgrader course, with submitted/ in it")
    command.add_argument("--assignment", metavar="NAME", help="look at this one only")

    command = add("train", train, "train a network of the zoo and write its weights and its card")
    command.add_argument("name", metavar="NAME", help="such as glyphs_classifier or text_to_image")
    command.add_argument("--seed", type=int, default=0, metavar="N", help="of the weights and the batches (default: 0)")
    command.add_argument("--steps", type=int, metavar="N", help="train for so many steps (default: the recipe's)")
    command.add_argument("--out", metavar="FOLDER", help="where the two files go (default: gan_course/zoo)")

    command = add("stylize", stylize, "repaint a photograph in one of the course's styles", anywhere=True)
    command.add_argument("source", metavar="INPUT", help="the photograph: JPEG, PNG, WebP, TIFF, BMP")
    command.add_argument("target", metavar="OUTPUT", help="the picture to write: .jpg, .png or .webp")
    command.add_argument("--style", default="pencil", metavar="NAME", help="such as pencil, which is the default")
    command.add_argument("--seed", type=int, default=0, metavar="N", help="of what the style leaves open (default: 0)")

    add("check", check, "look for what must not be in a committed notebook")

    command = add("ablation", ablation, "train chapter 04's recipe without each of its parts and write the table")
    command.add_argument(
        "--seconds", type=float, default=30, metavar="S", help="of one core for each run (default: 30)"
    )
    command.add_argument(
        "--later", type=float, default=180, metavar="S", help="for the few that are trained longer (default: 180)"
    )
    command.add_argument("--jobs", type=int, default=2, metavar="N", help="runs side by side (default: 2)")
    command.add_argument("--only", nargs="+", default=[], metavar="NAME", help="measure these; keep the other rows")
    return top


def run(**options) -> int:
    from gan_course.commands import run as module

    return module.run(**options)


def compare(**options) -> int:
    from gan_course.commands import compare as module

    return module.compare(**options)


def doctor(**options) -> int:
    from gan_course.commands import doctor as module

    return module.doctor(**options)


def bundle(**options) -> int:
    from gan_course.commands import bundle as module

    return module.bundle(**options)


def timings(**options) -> int:
    from gan_course.commands import timings as module

    return module.timings(**options)


def plan(**options) -> int:
    from gan_course.commands import plan as module

    return module.plan(**options)


def slides(**options) -> int:
    from gan_course.commands import slides as module

    return module.slides(**options)


def new(**options) -> int:
    from gan_course.commands import new as module

    return module.new(**options)


def badges(**options) -> int:
    from gan_course.commands import badges as module

    return module.badges(**options)


def exercises(**options) -> int:
    from gan_course.commands import exercises as module

    return module.exercises(**options)


def translate(**options) -> int:
    from gan_course.commands import translate as module

    return module.translate(**options)


def grade(**options) -> int:
    from gan_course.commands import grade as module

    return module.grade_folder(**options)


def nbgrader_export(**options) -> int:
    from gan_course.commands import nbgrader_export as module

    return module.export(**options)


def nbgrader_check(**options) -> int:
    from gan_course.commands import nbgrader_check as module

    return module.check(**options)


def train(root: str, name: str, seed: int, steps: int | None, out: str | None) -> int:
    from gan_course import recipes

    folder = Path(out or Path(root, "gan_course", "zoo"))
    if out is None and not folder.is_dir():
        raise CourseError(f"there is no folder {folder}: run this in the course folder, or say where with --out FOLDER")
    try:
        checkpoint = recipes.checkpoint_path(Path(root, "runs"), name, seed, steps)
        card = recipes.train(name, folder, checkpoint, seed, steps)
    except recipes.Stopped as stop:
        print(stop, file=sys.stderr)
        return 128 + stop.number
    except (ValueError, OSError) as error:
        raise CourseError(str(error)) from error
    except ModuleNotFoundError as error:
        if error.name not in ("accelerate", "diffusers", "transformers"):
            raise
        remedy = 'install it with python -m pip install -e ".[diffusion]"'
        raise CourseError(f"the recipe {name} needs {error.name}: {remedy}") from error
    if "file" in card:
        name, value = next(iter(card["metrics"].items()))
        figure = f"{value:.2%}" if name.endswith(("accuracy", "error")) else f"{value:.4g}"
        said = f"{figure} right" if name == "held_out_accuracy" else f"{name.replace('_', ' ')} {figure}"
        print(f"{folder / card['file']}: {card['bytes']:,} bytes, {said} on held-out data")
    elif card:  # under torchrun, the first process alone has one
        print(f"{folder}: {len(card['files'])} files of {card['bytes']:,} bytes in all, and their card")
    return 0


def stylize(source: str, target: str, style: str, seed: int) -> int:
    from PIL import Image

    from gan_course.style import stylize as make

    try:
        make(source, target, style, seed)
    except (ValueError, OSError) as error:
        raise CourseError(str(error)) from error
    with Image.open(target) as made:
        print(f"{target}: {made.width} × {made.height}, in the style {style}")
    return 0


def check(**options) -> int:
    from gan_course.commands import hygiene as module

    return module.check(**options)


def ablation(root: str, **options) -> int:
    from gan_course.recipes import ablation as module

    try:
        module.measure_all(**options)
    except ValueError as error:
        raise CourseError(str(error)) from error
    return 0


if __name__ == "__main__":
    sys.exit(main())
