"""Install the course from this folder, with no network: python install.py"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
MADE_FOR, PLATFORM = "FILL_PYTHON", "FILL_PLATFORM"
VENV = HERE / ".venv"


def main():
    found = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if found != MADE_FOR or sys.platform != PLATFORM:
        return (
            f"This bundle is for Python {MADE_FOR} on {PLATFORM}, but this is Python {found} on {sys.platform}: "
            f"start it with Python {MADE_FOR}, or ask for another bundle (gan-course bundle --python --platform)."
        )
    if VENV.exists():
        print(f"{VENV} is there already and is used.")
    elif subprocess.call([sys.executable, "-m", "venv", str(VENV)]):
        return "Python could not make an environment: on Debian and Ubuntu, the package python3-venv is missing."
    python = VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    print("Installing from wheels/: a minute or two.")
    options = [
        "--isolated",
        "--quiet",
        "--disable-pip-version-check",
        "--no-index",
        "--find-links",
        str(HERE / "wheels"),
    ]
    if subprocess.call([str(python), "-m", "pip", *options[:1], "install", *options[1:], "FILL_COURSE"]):
        return "pip could not install the course: see what it says above. Is the disk full, or a wheel damaged?"
    print("Installed. Open the course with: python start.py")
    return 0


if __name__ == "__main__":
    sys.exit(main())
