"""What a release is made of: one version, a changelog of it, a bill of materials that names what comes along."""

import json
import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from agent import BUILD_EPOCH, __version__

ROOT: Final = Path(__file__).parent.parent
BILL: Final = ROOT / "packaging/sensor-agent.cdx.json"  # in the wheel and in the Debian package


def debian_changelog(text: str) -> str:
    """CHANGELOG.md's newest entry as the package has it."""
    return subprocess.run(
        ["awk", "-f", ROOT / "packaging/changelog", "Wed, 25 Nov 2026 00:00:00 +0000"],
        input=text, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


def test_the_newest_entry_of_the_changelog_is_this_version() -> None:
    entries = re.findall(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert entries[0] == __version__


def released(changelog: str) -> list[datetime]:
    """The dates of its entries, at midnight UTC."""
    days = re.findall(r"^## \[\d.*?\] - (\d{4}-\d\d-\d\d)$", changelog, re.MULTILINE)
    return [datetime.fromisoformat(day).replace(tzinfo=UTC) for day in days]


def test_the_dates_of_releases_are_read_and_an_unreleased_entry_has_none() -> None:
    text = "## [0.2.0] - unreleased\n\n### Added\n\n## [0.1.0] - 2026-12-24\n\n- Said on 2027-01-01.\n"

    assert released(text) == [datetime(2026, 12, 24, tzinfo=UTC)]


def test_the_clock_check_was_moved_on_with_the_newest_release() -> None:
    made = datetime.fromtimestamp(BUILD_EPOCH, UTC)

    assert all(made >= each for each in released((ROOT / "CHANGELOG.md").read_text(encoding="utf-8")))
    assert made <= datetime.now(UTC), "readings taken now would be held"


def test_the_debian_changelog_is_made_of_the_newest_entry_alone() -> None:
    text = "# Changelog\n\n## [0.2.0-rc1] - 2026\n\n### Added\n\n- One.\n- Two\n  `a.b` lines. `c`\n  is told\n  elsewhere.\n\n## [0.1.0] - 2025\n\n- Old.\n"

    assert debian_changelog(text).splitlines() == [
        "sensor-agent (0.2.0~rc1) unstable; urgency=medium",
        "",
        "  * One.",
        "  * Two `a.b` lines.",
        "",
        " -- sensor-agent maintainers <maintainers@sensor-agent.example>  Wed, 25 Nov 2026 00:00:00 +0000",
    ]


def test_no_line_of_the_debian_changelog_is_longer_than_policy_allows() -> None:
    made = debian_changelog((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))

    assert max(len(line) for line in made.splitlines() if not line.startswith(" -- ")) <= 80


def test_the_bill_of_materials_names_what_comes_along_and_what_is_needed() -> None:
    bill = json.loads(BILL.read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    vendored = (ROOT / "packaging/vendor.txt").read_text(encoding="utf-8")

    assert bill["metadata"]["component"]["version"] == __version__
    assert {each["name"] for each in bill["components"]} == {
        re.split(r"[<>=]", each)[0] for each in project["dependencies"]
    }
    (brought,) = [each for each in bill["components"] if "hashes" in each]
    assert f"{brought['name']}=={brought['version']} --hash=sha256:{brought['hashes'][0]['content']}" in vendored


def test_the_bill_of_materials_is_up_to_date() -> None:
    run = subprocess.run([sys.executable, ROOT / "packaging/sbom"], capture_output=True, text=True, check=True)

    assert run.stdout == BILL.read_text(encoding="utf-8"), "run packaging/sbom packaging/sensor-agent.cdx.json"


def test_checksums_are_of_all_files_and_hold(tmp_path: Path) -> None:
    (tmp_path / "a.deb").write_text("a")
    (tmp_path / "b.whl").write_text("b")

    subprocess.run(["bash", ROOT / "packaging/checksums", tmp_path], check=True)
    subprocess.run(["bash", ROOT / "packaging/checksums", tmp_path], check=True)  # again: not of itself

    assert [line.split()[1] for line in (tmp_path / "SHA256SUMS").read_text().splitlines()] == ["a.deb", "b.whl"]
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path, check=True)
