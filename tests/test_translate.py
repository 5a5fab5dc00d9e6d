"""``gan-course translate``: catalogues in step with the course, notebooks that are the same programs in other words."""

import ast
import re
from pathlib import Path

import pytest
from notebooks import code, save, text

from gan_course import fonts, language
from gan_course.commands import hygiene, notebooks, translate, units
from gan_course.commands.errors import CourseError

ROOT = Path(__file__).resolve().parents[1]
CHAPTER = "chapters/01_concepts.ipynb"
TEXT = "# 01 · Concepts\n\n> **The number** is `x` or $x^2$, see [there](02_loss_math.ipynb).\n\n- first item"
CODE = """names = {"first key": 1}
for step in (1, 2):
    print("not translated", step)
    ax.set_title(f"step {step} of {max(names.values())}")
plots.show(figure, alt="A figure with one line that goes up.")"""
SOLUTION = '''def double(x):
    """Twice the number.

    x: any number.
    """
    ### BEGIN SOLUTION
    return 2 * x  # the sum of x and x
    ### END SOLUTION'''


@pytest.fixture
def course(tmp_path):
    save(
        tmp_path / CHAPTER, text(TEXT, id="a"), code("import sys", "setup", id="b"), code(CODE, "labels:names", id="c")
    )
    return tmp_path


def run(course, action, **options):
    given = {"language": "zh_CN", "only": [], "out": "build"} | options
    return translate.translate(course, action, **given)


def catalogue(course, name=CHAPTER):
    return course / "translations" / "zh_CN" / name.replace(".ipynb", ".po")


def fill(course, **given):
    """Translate each message by ``given``, named by its first letters, else by itself in capitals between brackets."""
    path = catalogue(course)
    lines = path.read_text(encoding="utf-8").split("\n")
    for i, line in enumerate(lines):
        if line.startswith("msgid ") and line != 'msgid ""':
            words = line[7:-1]
            chosen = [value for key, value in given.items() if words.startswith(key.replace("_", " "))]
            lines[i + 1] = f'msgstr "{chosen[0] if chosen else "译文" + words}"'
    path.write_text("\n".join(lines), encoding="utf-8")


def test_what_is_extracted_is_the_prose_and_what_figures_show(course):
    run(course, "extract", only=["01"])
    words = [str(message.id) for message in translate.read(catalogue(course), "zh_CN") if message.id]
    assert words == [
        "01 · Concepts",
        "**The number** is `x` or $x^2$, see [there](02_loss_math.ipynb).",
        "first item",
        "first key",
        "step {step} of {max(names.values())}",
        "A figure with one line that goes up.",
    ]


def test_extract_twice_changes_nothing_and_keeps_translations(course):
    run(course, "extract", only=["01"])
    fill(course)
    run(course, "extract")
    once = catalogue(course).read_bytes()
    run(course, "extract")
    assert catalogue(course).read_bytes() == once
    assert "译文first item" in once.decode()
    assert run(course, "check") == 0


def test_a_changed_paragraph_is_out_of_date_and_keeps_its_old_translation_for_the_translator(course, capsys):
    run(course, "extract", only=["01"])
    fill(course)
    path = course / CHAPTER
    path.write_text(path.read_text(encoding="utf-8").replace("first item", "first item, changed"), encoding="utf-8")
    capsys.readouterr()
    assert run(course, "check") == 0  # a report and no fault
    assert "1 of 6 missing or out of date, in cell a" in capsys.readouterr().out
    run(course, "extract")
    assert "#, fuzzy" in catalogue(course).read_text(encoding="utf-8")
    run(course, "build")
    built = notebooks.read(course / "build/zh_CN" / CHAPTER)
    assert "- first item, changed" in built.cells[0].source  # the original, and not what it no longer says
    assert "译文01 · Concepts" in built.cells[0].source


def test_links_that_leave_a_built_notebook_say_that_they_lead_to_the_original(course):
    """It is built and not committed: at the address where Colab would look there is none."""
    repo = "github.com/ada/gan_course/blob/main"
    badge = "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
    links = (
        f"(https://colab.research.google.com/github/ada/gan_course/blob/main/{CHAPTER})",
        f"(https://{repo}/{CHAPTER})",
    )
    save(
        course / CHAPTER,
        text(f"# 01 · Concepts\n{badge}{links[0]} · [source]{links[1]}\n\nWords.", id="a"),
        code("import sys", "setup", id="b"),
    )
    spoken = translate.spoken(course, "zh_CN")
    spoken.parent.mkdir(parents=True)
    spoken.write_bytes(translate.spoken(ROOT, "zh_CN").read_bytes())
    run(course, "extract", only=["01"])
    run(course, "build")
    lines = notebooks.read(course / "build/zh_CN" / CHAPTER).cells[0].source.split("\n")
    assert lines[1] == f"[在 Colab 中打开英文原版]{links[0]} · [英文原版]{links[1]}"


@pytest.mark.parametrize(("source", "path"), [pair for pair in translate.sources(ROOT, "zh_CN").items()])
def test_every_line_of_badges_is_known(source, path):
    """Or else a built notebook would keep a badge that opens another one than it says."""
    if source.suffix == ".ipynb":
        first = notebooks.read(source).cells[0].source
        assert "colab.research.google.com" in first
        assert "colab.research.google.com" not in translate.BADGES.sub("", first)


@pytest.mark.parametrize(
    ("start", "given", "kind"),
    [
        ("step", "第 {n} 步，共 {max(names.values())}", "placeholders"),
        ("step", "第 {step} 步", "placeholders"),
        ("**The_number**", "**数**是 `y` 或 $x^2$，见[那里](02_loss_math.ipynb)。", "code spans"),
        ("**The_number**", "**数**是 `x` 或 $x^3$，见[那里](02_loss_math.ipynb)。", "formulas"),
        ("**The_number**", "**数**是 `x` 或 $x^2$，见[那里](03_training.ipynb)。", "links"),
    ],
)
def test_what_a_translation_must_keep_is_an_error(course, capsys, start, given, kind):
    run(course, "extract", only=["01"])
    fill(course, **{start: given})
    capsys.readouterr()
    assert run(course, "check") == 1
    said = capsys.readouterr().out
    assert kind in said and "cell " in said
    with pytest.raises(CourseError, match=kind):
        run(course, "build")
    assert any(kind in line for line in translate.problems(course, "zh_CN"))


def test_a_translation_that_would_be_another_program_is_an_error(course, capsys):
    run(course, "extract", only=["01"])
    fill(course, step="{step} ' \\\" {max(names.values())}")  # both quotes: the string ends too early
    assert run(course, "check") == 1
    assert "cell c" in capsys.readouterr().out


def test_a_damaged_catalogue_is_said_in_a_sentence(course):
    run(course, "extract", only=["01"])
    catalogue(course).write_text("<<<<<<< HEAD\n", encoding="utf-8")  # a merge that nobody finished
    with pytest.raises(CourseError, match=r"01_concepts\.po cannot be read as a catalogue"):
        run(course, "check")


def test_check_of_the_course_reports_translations(course, capsys):
    run(course, "extract", only=["01"])
    capsys.readouterr()
    hygiene.check(course)
    assert "6 of 6 missing or out of date" in capsys.readouterr().out


def test_a_language_that_is_not_there_is_refused(course):
    with pytest.raises(CourseError, match="there is no translation to fr"):
        run(course, "build", language="fr")


def test_the_built_notebook_is_the_same_program_and_says_its_language(course, monkeypatch):
    monkeypatch.setattr(translate, "chinese", lambda: "a font")
    run(course, "extract", only=["01"])
    fill(course)
    run(course, "build")
    first, setup, said, last = notebooks.read(course / "build/zh_CN" / CHAPTER).cells
    assert (setup.source, said.id) == ("import sys", "language")
    assert 'os.environ["GAN_COURSE_LANGUAGE"] = "zh_CN"' in said.source
    assert "> 译文**The number** is `x`" in first.source
    assert 'print("not translated", step)' in last.source
    assert '{"译文first key": 1}' in last.source


def test_without_a_font_labels_stay_english_and_alternative_texts_do_not(course, monkeypatch, capsys):
    monkeypatch.setattr(translate, "chinese", lambda: None)
    run(course, "extract", only=["01"])
    fill(course)
    run(course, "build")
    last = notebooks.read(course / "build/zh_CN" / CHAPTER).cells[-1].source
    assert 'f"step {step} of' in last and 'alt="译文A figure' in last
    assert "install one" in capsys.readouterr().out


def test_docstrings_and_comments_of_exercises_are_translated_and_marks_are_not():
    made = units.translate_code(SOLUTION, lambda words: words.upper(), {}, [], prose=True)
    assert '"""TWICE THE NUMBER.' in made and "    X: ANY NUMBER." in made and "# THE SUM OF X AND X" in made
    assert "### BEGIN SOLUTION" in made
    assert units.translate_code(SOLUTION, lambda words: words.upper(), {}, [], prose=False) == SOLUTION


def test_links_lead_to_the_translation_where_there_is_one_and_else_to_the_original(course):
    source, made = course / CHAPTER, course / "build/zh_CN" / CHAPTER
    for name in ("02_loss_math", "03_training"):
        (course / f"chapters/{name}.ipynb").touch()
    there = {course / "chapters/02_loss_math.ipynb": course / "build/zh_CN/chapters/02_loss_math.ipynb"}
    given = "[a](02_loss_math.ipynb) [b](03_training.ipynb#x) [c](https://example.org) [d](#here)"
    wanted = "[a](02_loss_math.ipynb) [b](../../../chapters/03_training.ipynb#x) [c](https://example.org) [d](#here)"
    assert translate.relink(given, source, made, there) == wanted


# ------------------------------------------------------------------------------------------ the course's own


PAIRS = [(source, path) for source, path in translate.sources(ROOT, "zh_CN").items() if source.suffix == ".ipynb"]


def test_chapters_00_to_02_and_their_exercises_are_translated():
    names = [f"{source.parent.name}/{source.stem[:2]}" for source, _ in PAIRS]
    assert names == ["chapters/00", "chapters/01", "chapters/02", "solutions/01", "solutions/02"]


def strings_out(tree):
    """The tree with every string blanked and every f-string reduced to its expressions: written apart from the tool."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            kept = [part for part in node.values if isinstance(part, ast.FormattedValue)]
            node.values = sorted(kept, key=ast.dump)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.dump(tree)


@pytest.mark.parametrize(("source", "path"), PAIRS, ids=lambda p: p.stem)
def test_code_is_equal_by_syntax_tree_apart_from_strings(source, path):
    made = translate.translated(source, translate.read(path, "zh_CN"))
    changed = 0
    for old, new in zip(notebooks.read(source).cells, made.cells, strict=True):
        assert (old.id, old.cell_type) == (new.id, new.cell_type)
        if old.cell_type == "code" and "setup" not in notebooks.tags(old):
            assert strings_out(ast.parse(old.source)) == strings_out(ast.parse(new.source))
            changed += old.source != new.source
    assert changed > 3


def test_nothing_of_the_course_is_broken():
    assert translate.problems(ROOT, "zh_CN") == []


def chinese_share(words):
    """Of the letters outside of code, formulas and links: how many are Chinese."""
    letters = re.findall(r"[^\W\d_]", units.NOT_WORDS.sub(" ", words))
    return sum(letter > "\u2e7f" for letter in letters) / max(len(letters), 1)


def test_no_paragraph_stayed_english():
    for _, path in translate.sources(ROOT, "zh_CN").items():
        for (words, _), text_ in translate.finished(translate.read(path, "zh_CN")).items():
            if len(words) > 60 and "arXiv" not in words and not words.startswith("|"):
                assert chinese_share(text_) > 0.15, text_  # names of arguments and of PyTorch stay


# ------------------------------------------------------------------------------------------ messages and letters


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({"GAN_COURSE_LANGUAGE": "zh_CN"}, "zh_CN"),
        ({"LANG": "zh_CN.UTF-8"}, "zh_CN"),
        ({"LANG": "zh_SG.UTF-8"}, "zh_CN"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "GAN_COURSE_LANGUAGE": "en"}, "en"),
        ({}, "en"),
    ],
)
def test_the_language_is_chosen_by_a_variable_or_the_system(monkeypatch, variables, wanted):
    for name in language.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert language.language() == wanted
    assert (language.tr("Play") == "播放") == (wanted == "zh_CN")


def test_a_message_without_translation_stays_english(monkeypatch):
    monkeypatch.setenv("GAN_COURSE_LANGUAGE", "zh_CN")
    assert language.tr("nobody has said this yet") == "nobody has said this yet"
    assert language.tr("") == ""


def test_every_message_of_the_catalogue_fits_its_arguments():
    done = translate.finished(translate.read(translate.spoken(ROOT, "zh_CN"), "zh_CN"))
    for (words, _), text_ in done.items():
        assert sorted(re.findall(r"\{[^{}]*\}", words)) == sorted(re.findall(r"\{[^{}]*\}", text_)), words


def test_a_wrong_answer_is_told_in_chinese(monkeypatch):
    from gan_course import checks

    monkeypatch.setenv("GAN_COURSE_LANGUAGE", "zh_CN")

    def losses_from_probabilities(p_real, p_fake):
        return -p_real.log().mean(), -p_fake.log().mean()

    with pytest.raises(checks.report.CheckFailed) as failed:
        checks.check_losses_from_probabilities(losses_from_probabilities)
    said = str(failed.value)
    assert said.startswith("check_losses_from_probabilities：还不对。")
    assert "缺了假批次：这样的 D 会学成把一切都叫做真。" in said and "提示:" in said
    assert set(failed.value.facts) == {"tried", "got", "expected", "hint"}  # what the grader reads stays


def test_a_right_answer_is_told_in_chinese(monkeypatch, capsys):
    from gan_course import checks

    monkeypatch.setenv("GAN_COURSE_LANGUAGE", "zh_CN")
    checks.check_optimal_discriminator(lambda p, q: (p / (p + q)).nan_to_num(0.5))
    assert re.fullmatch(r"check_optimal_discriminator：\d+ 项测试全部通过\n", capsys.readouterr().out)


def test_widgets_are_labelled_in_chinese(monkeypatch):
    from gan_course.widgets.loss_view import LossView

    monkeypatch.setenv("GAN_COURSE_LANGUAGE", "zh_CN")
    view = LossView(0.5, 0.5)
    assert view.loss.description == "损失" and "非饱和" in [name for name, _ in view.loss.options]
    assert view.cases["clueless"].description == "一无所知"
    view.cases["clueless"].click()
    assert "2 log 2 = 1.3863" in view.message.value and "任何有用的判别器" in view.message.value
    assert view.loss.value == "non_saturating"  # what the program works with stays


def test_figures_in_chinese_have_no_boxes(monkeypatch, recwarn):
    from gan_course import plots

    monkeypatch.setenv("GAN_COURSE_LANGUAGE", "zh_CN")
    if fonts.chinese() is None:
        pytest.skip("no font with Chinese letters")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(plots.fonts.matplotlib.rcParams, "font.family", ["sans-serif"])
        figure, ax = plots.new_figure()
        ax.set_title("判别器的置信度 D", fontweight="bold")
        plots.mime_bundle(figure, "A figure whose title is Chinese.")
    assert not [warning for warning in recwarn if "lyph" in str(warning.message)]


def test_without_a_font_labels_are_left_out_and_the_reader_is_told(monkeypatch, recwarn, capsys):
    from gan_course import plots

    monkeypatch.setenv("GAN_COURSE_LANGUAGE", "zh_CN")
    monkeypatch.setattr(fonts, "chinese", lambda: None)
    fonts.say_how_to_install.cache_clear()
    figure, ax = plots.new_figure()
    ax.set(title="判别器的置信度", xlabel="step")
    plots.mime_bundle(figure, "A figure whose title is Chinese.")
    assert (ax.get_title(), ax.get_xlabel()) == ("", "step")
    assert fonts.label("step") == "step"
    assert "fonts-noto-cjk" in capsys.readouterr().out
    assert not [warning for warning in recwarn if "lyph" in str(warning.message)]


def test_in_english_nothing_changes(monkeypatch):
    from gan_course import plots

    monkeypatch.setenv("GAN_COURSE_LANGUAGE", "en")
    before = list(plots.fonts.matplotlib.rcParams["font.family"])
    plots.new_figure()
    assert plots.fonts.matplotlib.rcParams["font.family"] == before
    assert fonts.label("generated") == "generated"


BUILT = ROOT / "build/zh_CN/chapters"


@pytest.mark.skipif(not BUILT.is_dir(), reason="make chinese has not run")
def test_the_translated_chapters_print_the_same_numbers():
    def numbers(notebook):
        cells = [c for c in notebook.cells if c.source.startswith("# NBVAL_CHECK_OUTPUT")]
        return {c.id: re.findall(r"-?\d+\.?\d*", "".join(o.get("text", "") for o in c.outputs)) for c in cells}

    for path in notebooks.list_notebooks(BUILT):
        made = notebooks.read(path)
        if any(cell.get("outputs") for cell in made.cells):
            assert numbers(made) == numbers(notebooks.read(ROOT / "chapters" / path.name))
