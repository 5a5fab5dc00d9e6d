"""``docs/check_site.py`` on small sites, each with one fault."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "docs/check_site.py"
spec = importlib.util.spec_from_file_location("check_site", SCRIPT)
assert spec and spec.loader
check_site = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check_site)

SOUND = {
    "index.html": '<h1 id="top">a</h1><a href="sub/b.html#cell-id=x%20y">b</a><a href="#top">up</a>'
    '<a href="https://e.org">e</a><img src="c.png" alt=""><script src="d.js?v=1"></script>'
    '<a href="d.js">d</a><a href="mailto:a@e.org">m</a>',
    "sub/b.html": '<p id="cell-id=x y">b</p><a href="../index.html">a</a><img src="data:image/png;base64,A" alt="dot">',
    "c.png": "picture",
    "d.js": "1",
}


def found(folder: Path, **changed: str) -> list[str]:
    for name, text in (SOUND | {name.replace("_", "."): text for name, text in changed.items()}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return list(check_site.problems(folder))


def test_a_sound_site_passes(tmp_path, capsys):
    assert found(tmp_path) == []
    assert check_site.main(tmp_path) == 0
    assert capsys.readouterr().out.startswith("2 pages, all links and anchors lead somewhere.")


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ('<a href="gone.html">x</a>', "links to gone.html, which is not there"),
        ('<a href="sub/b.html#gone">x</a>', "links to sub/b.html#gone: there is no such anchor"),
        ('<a href="#gone">x</a>', "links to #gone: there is no such anchor"),
        ('<img src="gone.png" alt="x">', "loads gone.png, which is not there"),
        ('<img src="c.png">', "the picture c.png has no text"),
        ('<script src="https://cdn.example.org/x.js"></script>', "from another computer"),
        ('<link rel="stylesheet" href="//cdn.example.org/x.css">', "from another computer"),
        ('<source srcset="gone.webp">', "loads gone.webp, which is not there"),
        ("x" * 5_000_001, "weighs 5.0 MB"),
    ],
)
def test_a_fault_is_named_with_its_page(tmp_path, page, said):
    (problem,) = found(tmp_path, index_html=page)
    assert problem.startswith("index.html") and said in problem
    assert check_site.main(tmp_path) == 1


def test_the_pictures_of_a_page_count(tmp_path):
    (problem,) = found(tmp_path, c_png="x" * 5_000_000)
    assert problem.startswith("index.html weighs 5.0 MB")


def test_an_empty_folder_is_no_site(tmp_path):
    assert list(check_site.problems(tmp_path)) == [f"there is no page in {tmp_path}"]
