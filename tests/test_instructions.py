"""Which counts of instructions a change is compared with, and what counts as growth."""

import subprocess
from pathlib import Path

import pytest
from bench.baseline import Counts, baseline, grown, under

ELSEWHERE = "Python 3.11.2 on a Raspberry Pi"


def test_more_than_a_twentieth_above_has_grown() -> None:
    before = Counts("here", {"tick": 1000, "delivery": 1000, "start": 1000})
    now = Counts("here", {"tick": 1050, "delivery": 1051, "start": 500, "new": 1})
    assert grown(before, now) == ["delivery"]


def git(repository: Path, *arguments: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    subprocess.run(["git", "-C", str(repository), *who, *arguments], check=True, stdout=subprocess.DEVNULL)


def script(delivery: int) -> str:
    counts = Counts("there", {"delivery": delivery})
    return f"import sys\nassert sys.argv[1:] == ['--json']\nprint({counts.text()!r})\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Counts written elsewhere, and a commit since then that changes what is counted."""
    made = tmp_path / "made"
    made.mkdir()
    git(made, "init", "--quiet")
    (made / "counts.json").write_text(Counts(ELSEWHERE, {"delivery": 7}).text())
    for delivery in (100, 200):
        (made / "script.py").write_text(script(delivery))
        git(made, "add", ".")
        git(made, "commit", "--quiet", "--message", str(delivery))
    return made


def test_counts_written_under_the_same_are_compared_with(tmp_path: Path) -> None:
    file = tmp_path / "counts.json"
    file.write_text(Counts(under(), {"delivery": 7}).text())
    assert baseline(file, tmp_path / "script.py").instructions == {"delivery": 7}


def test_counts_written_elsewhere_are_taken_anew_from_the_commit_that_wrote_them(repository: Path) -> None:
    assert baseline(repository / "counts.json", repository / "script.py").instructions == {"delivery": 100}


def test_without_that_commit_there_is_nothing_to_compare_with(repository: Path, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", repository.as_uri(), str(shallow)], check=True)
    with pytest.raises(RuntimeError, match="git fetch --unshallow"):
        baseline(shallow / "counts.json", shallow / "script.py")
