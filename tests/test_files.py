"""Files: read whole or not, written whole or not at all, by one at a time."""

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from states import FullFile, bound_by_permissions, sentence

from gan_course import files
from gan_course.files import only_writer, read_whole, scratch_folder, write_whole

posix = pytest.mark.skipif(os.name != "posix", reason="modes, links, pipes and signals as POSIX has them")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


# ---------------------------------------------------------------------------------------------- writing


def test_what_is_written_is_what_is_read(tmp_path):
    path = tmp_path / "a" / "b" / "x"
    for content in (b"", b"old", bytes(range(256)) * 5000):
        write_whole(path, content)
        assert read_whole(str(path)) == content and os.listdir(path.parent) == ["x"]


@posix
def test_a_new_file_is_as_ordinary_as_any_and_an_old_one_keeps_its_mode(tmp_path):
    (tmp_path / "ordinary").touch()
    write_whole(tmp_path / "x", b"new")
    assert mode(tmp_path / "x") == mode(tmp_path / "ordinary")
    for kept in (0o600, 0o640, 0o755, 0o666):
        (tmp_path / "x").chmod(kept)
        write_whole(tmp_path / "x", b"newer")
        assert mode(tmp_path / "x") == kept


@posix
def test_what_was_secret_never_lies_open(tmp_path, monkeypatch):
    path, fsync, seen = tmp_path / "x", os.fsync, []
    path.touch(mode=0o600)
    monkeypatch.setattr(os, "fsync", lambda fd: (seen.append(stat.S_IMODE(os.fstat(fd).st_mode)), fsync(fd)))
    write_whole(path, b"secret")
    assert seen == [0o600]


@posix
def test_a_link_is_replaced_and_what_it_points_at_stays(tmp_path):
    target = tmp_path / "elsewhere"
    target.write_bytes(b"of somebody else")
    for name, to in (("x", target), ("y", tmp_path / "nowhere"), ("z", tmp_path / "z")):
        (tmp_path / name).symlink_to(to)
        write_whole(tmp_path / name, b"ours")
        assert (tmp_path / name).read_bytes() == b"ours" and not (tmp_path / name).is_symlink()
    assert target.read_bytes() == b"of somebody else" and not (tmp_path / "nowhere").exists()


@posix
def test_a_link_to_a_folder_on_the_way_is_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "runs").symlink_to(tmp_path / "disk")
    write_whole(tmp_path / "runs" / "x", b"ours")
    assert (tmp_path / "disk" / "x").read_bytes() == b"ours" and (tmp_path / "runs").is_symlink()


@posix
def test_nothing_is_written_through_a_link_at_the_temporary_name(tmp_path, monkeypatch):
    target = tmp_path / "elsewhere"
    target.write_bytes(b"of somebody else")
    monkeypatch.setattr(files.secrets, "token_hex", lambda count: "guessed")
    (tmp_path / "y.guessed.part").symlink_to(target)
    with pytest.raises(OSError, match="File exists"):
        write_whole(tmp_path / "y", b"ours")
    assert target.read_bytes() == b"of somebody else"


def test_temporary_names_cannot_be_guessed(tmp_path, monkeypatch):
    fsync, seen = os.fsync, set()
    monkeypatch.setattr(os, "fsync", lambda fd: (seen.update(os.listdir(tmp_path)), fsync(fd)))
    for _ in range(20):
        write_whole(tmp_path / "x", b"ours")
    assert len(seen - {"x"}) == 20


@posix
@pytest.mark.parametrize("kind", ["folder", "link to a folder", "pipe", "device"])
def test_what_is_no_file_is_not_replaced(tmp_path, kind):
    path = tmp_path / "x"
    if kind == "folder":
        path.mkdir()
    elif kind == "link to a folder":
        (tmp_path / "folder").mkdir()
        path.symlink_to(tmp_path / "folder")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path = Path("/dev/null")
    before = os.lstat(path)
    with pytest.raises(OSError) as caught:
        write_whole(path, b"ours")
    said = sentence(caught)
    assert said.startswith(f"can't write {path} (")
    assert said.endswith("this one is a folder" if "folder" in kind else "choose another name")
    assert os.lstat(path).st_ino == before.st_ino and not list(tmp_path.glob("*.part"))


def test_a_name_that_is_too_long(tmp_path):
    with pytest.raises(OSError, match=r"too long.*: choose a shorter name$|choose another folder"):
        write_whole(tmp_path / ("x" * 300), b"ours")
    assert os.listdir(tmp_path) == []


def test_a_file_protected_from_writing_is_not_replaced(open_folder):
    path = open_folder / "x"
    path.write_bytes(b"old")
    path.chmod(0o444)
    open_folder.chmod(0o777)
    with bound_by_permissions(), pytest.raises(OSError, match=r"protected from writing\): choose another name$"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(open_folder) == ["x"]


def test_a_folder_that_may_not_be_written(open_folder):
    (open_folder / "x").write_bytes(b"old")
    for path in (open_folder / "a" / "x", open_folder / "x"):
        with bound_by_permissions(), pytest.raises(OSError) as caught:
            write_whole(path, b"new")
        said = f"can't write {path} (Permission denied): choose another folder, one that you may write to"
        assert sentence(caught) == said
    assert read_whole(path) == b"old"


# ---------------------------------------------------------------------------------------------- full disks


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is always full")
def test_a_disk_that_is_really_full(tmp_path, monkeypatch):
    (tmp_path / "x").write_bytes(b"old")
    monkeypatch.setattr(files, "_new_file_beside", lambda path: FullFile(path.with_name("x.part")))
    with pytest.raises(OSError) as caught:
        write_whole(tmp_path / "x", b"new")
    assert sentence(caught) == f"can't write {tmp_path / 'x'}: the disk is full; free some space and try again"
    assert (tmp_path / "x").read_bytes() == b"old" and os.listdir(tmp_path) == ["x"]
    assert Path("/dev/full").is_char_device()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_what_a_failed_writer_leaves(tmp_path, monkeypatch, number):
    """The old file and nothing else: neither a temporary one nor the folders made for it."""
    (tmp_path / "x").write_bytes(b"old")

    def fail(_):
        raise OSError(number, "No.")

    monkeypatch.setattr(os, "fsync", fail)
    words = "a file may not be as large as this there" if number == errno.EFBIG else "the disk is full; free some space"
    for name in ("x", "new/folders/x"):
        with pytest.raises(OSError, match=words):
            write_whole(tmp_path / name, b"new")
    assert os.listdir(tmp_path) == ["x"] and (tmp_path / "x").read_bytes() == b"old"


LIMITED = """
import resource, sys
from gan_course.files import write_whole
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_whole(sys.argv[1], bytes(1_000_000))
except OSError as error:
    print(error)
"""


@posix
def test_a_limit_on_the_size_of_files(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, timeout=120)
    assert done.stdout == (
        f"can't write {path}: a file may not be as large as this there; choose another disk, or raise the limit\n"
    )
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["x"]


def test_other_libraries_words_for_a_full_disk():
    for error in (OSError(errno.ENOSPC, "No space left"), RuntimeError("I/O error: No space left (os error 28)")):
        with (
            pytest.raises(OSError, match=r"^can't write to .*: the disk is full; .*TMPDIR") as caught,
            scratch_folder(),
        ):
            raise error
        assert "\n" not in str(caught.value)
    for other in (
        OSError("can't write x: the disk is full; free some space and try again"),
        ValueError("(os error 2)"),
    ):
        with pytest.raises(type(other)) as caught, scratch_folder() as place:
            raise other
        assert caught.value is other and not place.exists()


# ---------------------------------------------------------------------------------------------- leftovers

STUCK = """
import os, sys, time
from gan_course.files import write_whole
os.fsync = lambda _: (print("writing", flush=True), time.sleep(600))
write_whole(sys.argv[1], b"never finished")
"""


def stuck_writer(path):
    """A process in the midst of writing ``path``."""
    process = subprocess.Popen([sys.executable, "-c", STUCK, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "writing\n"
    return process


@posix
def test_what_a_killed_writer_left_is_removed_by_the_next_one(tmp_path):
    path = tmp_path / "x [1]*.ckpt"
    path.write_bytes(b"old")
    with stuck_writer(path) as dead, stuck_writer(path) as alive:
        dead.kill()
        dead.wait()
        assert len(list(tmp_path.glob("*.part"))) == 2
        write_whole(tmp_path / "y", b"of another name")
        assert len(list(tmp_path.glob("*.part"))) == 2
        write_whole(path, b"new")
        assert len(list(tmp_path.glob("*.part"))) == 1, "one for the living, none for the dead"
        alive.kill()
        alive.wait()
    write_whole(path, b"newer")
    assert sorted(os.listdir(tmp_path)) == [path.name, "y"] and path.read_bytes() == b"newer"


@posix
def test_only_leftovers_are_removed(tmp_path):
    digits = "0123456789abcdef"
    foreign = [
        f"x.{digits}.part.txt",
        f"x.{digits[:-1]}.part",
        "x.part",
        f"xx.{digits}.part",
        f"x.{digits.upper()}.part",
    ]
    for name in foreign:
        (tmp_path / name).touch()
    (tmp_path / f"x.{digits[::-1]}.part").mkdir()
    (tmp_path / f"x.a{digits[:-1]}.part").symlink_to(tmp_path / foreign[0])
    os.mkfifo(tmp_path / f"x.b{digits[:-1]}.part")
    before = set(os.listdir(tmp_path))
    (tmp_path / f"x.{digits}.part").write_bytes(b"of a killed writer")
    write_whole(tmp_path / "x", b"new")
    assert set(os.listdir(tmp_path)) == before | {"x"}


def test_many_writers_of_one_file_leave_one_whole(tmp_path):
    path, failures = tmp_path / "x", []

    def write(letter):
        try:
            for _ in range(25):
                write_whole(path, letter * 100_000)
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(bytes([65 + i]),)) for i in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if path.exists():
            content = path.read_bytes()
            assert len(content) == 100_000 and len(set(content)) == 1
        time.sleep(0.001)
    assert not failures and os.listdir(tmp_path) == ["x"]


# ---------------------------------------------------------------------------------------------- reading


@posix
@pytest.mark.parametrize("kind", ["missing", "below a file", "broken link", "folder", "pipe", "device", "loop"])
def test_what_cannot_be_read(tmp_path, kind):
    path = tmp_path / "x"
    (tmp_path / "file").touch()
    match kind:
        case "below a file":
            path = tmp_path / "file" / "x"
        case "broken link":
            path.symlink_to(tmp_path / "nowhere")
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "device":
            path = Path("/dev/zero")
        case "loop":
            path.symlink_to(path)
    with pytest.raises(OSError) as caught:
        read_whole(path)
    said = sentence(caught)
    missing = kind in ("missing", "below a file", "broken link")
    assert isinstance(caught.value, FileNotFoundError) == missing and str(path) in said
    words = {"folder": "is no file but a folder: correct", "loop": "can't be read just now (Too many levels"}
    expected = (
        "there is no file" if missing else words.get(kind, "is no file but a pipe, a socket or a device: correct")
    )
    assert expected in said and "delete" not in said and "damaged" not in said


def test_what_may_not_be_read_is_not_called_damaged(open_folder):
    path = open_folder / "x"
    path.write_bytes(b"whole")
    for closed in (path, open_folder):
        before = mode(closed)
        closed.chmod(0)
        with bound_by_permissions(), pytest.raises(PermissionError) as caught:
            read_whole(path)
        closed.chmod(before)
        assert sentence(caught) == (
            f"{path} may not be read (Permission denied): give yourself the right to read it; it may well be whole"
        )
    assert read_whole(path) == b"whole"


def test_a_disk_that_fails_is_not_called_damaged(tmp_path, monkeypatch):
    (tmp_path / "x").touch()

    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("builtins.open", fail)
    with pytest.raises(OSError, match=r"can't be read just now .Input/output error.: try again; it may well be whole"):
        read_whole(tmp_path / "x")


# ---------------------------------------------------------------------------------------------- one at a time

HOLDING = """
import sys, time
from gan_course.files import only_writer
with only_writer(sys.argv[1]):
    print("holding", flush=True)
    time.sleep(600)
"""


def test_a_second_writer_is_told(tmp_path):
    path = tmp_path / "folder" / "x"
    with only_writer(path):
        for _ in range(2):
            with pytest.raises(OSError) as caught, only_writer(path):
                pass
            assert sentence(caught) == (
                f"another process (number {os.getpid()}) is writing {path}: wait until it has ended, stop it, or "
                "choose another name"
            )
        with only_writer(tmp_path / "folder" / "y"):
            write_whole(path, b"ours")
    with only_writer(str(path)):
        pass
    assert os.listdir(path.parent) == ["x"]


@pytest.mark.parametrize("end", ["SIGKILL", "SIGTERM"])
@posix
def test_a_lock_dies_with_its_process(tmp_path, end):
    path = tmp_path / "x"
    with subprocess.Popen([sys.executable, "-c", HOLDING, str(path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "holding\n"
        with pytest.raises(OSError, match=rf"another process .number {other.pid}. is writing"), only_writer(path):
            pass
        other.send_signal(getattr(signal, end))
        other.wait()
    with only_writer(path):
        pass
    assert os.listdir(tmp_path) == []


def test_of_many_there_is_one_at_a_time(tmp_path):
    inside, most, turns, turned_away = [], [], [], []

    def work():
        while len(turns) < 100:
            try:
                with only_writer(tmp_path / "x"):
                    inside.append(1)
                    most.append(len(inside))
                    turns.append(1)
                    time.sleep(0.002)
                    inside.pop()
            except OSError as error:
                assert "another process" in str(error)
                turned_away.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1 and turned_away and os.listdir(tmp_path) == []


@posix
def test_a_lock_is_not_taken_through_a_link_and_not_waited_for_in_a_pipe(tmp_path):
    target = tmp_path / "elsewhere"
    target.write_bytes(b"of somebody else")
    (tmp_path / "x.lock").symlink_to(target)
    with pytest.raises(OSError, match=r"^can't write "), only_writer(tmp_path / "x"):
        pass
    assert target.read_bytes() == b"of somebody else"
    os.mkfifo(tmp_path / "y.lock")
    with only_writer(tmp_path / "y"):
        pass


@posix
def test_a_disk_that_knows_no_locks(tmp_path, monkeypatch):
    """Nobody can be told then, but nothing is refused, and no living writer loses its file."""

    def unknown(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", unknown)
    (tmp_path / "x.0123456789abcdef.part").touch()
    with only_writer(tmp_path / "x"):
        write_whole(tmp_path / "x", b"ours")
    assert sorted(os.listdir(tmp_path)) == ["x", "x.0123456789abcdef.part"]
