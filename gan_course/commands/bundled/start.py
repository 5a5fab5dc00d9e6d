"""Open the course in JupyterLab: python start.py. Or run one of its commands: python start.py gan-course doctor"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE / ".venv" / ("Scripts" if sys.platform == "win32" else "bin")


def main():
    if not PROGRAMS.is_dir():
        return "The course is not installed here: run python install.py first."
    words = sys.argv[1:] or ["jupyter", "lab", "--LabApp.default_url=/lab/tree/chapters/00_start_here.ipynb"]
    environment = dict(os.environ, PATH=os.pathsep.join([str(PROGRAMS), os.environ.get("PATH", "")]))
    if (HERE / "data").is_dir():
        environment["GAN_COURSE_DATA"] = str(HERE / "data")
    program = str(PROGRAMS / words[0]) + (".exe" if sys.platform == "win32" else "")
    return subprocess.call([program, *words[1:]], cwd=HERE / "course", env=environment)


if __name__ == "__main__":
    sys.exit(main())
