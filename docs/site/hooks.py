"""For mkdocs: the pages that stand elsewhere (the root's documents) or nowhere (the reference) join those of docs/."""

import sys
import tempfile
from pathlib import Path
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))  # mkdocs loads this file by its path, and knows of no package
import answers
import reference

ROOT: Final = reference.ROOT
OF_THE_ROOT: Final = ("ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """The files with ours among them."""
    with tempfile.TemporaryDirectory() as home:
        said = answers.answers(Path(home))
    example = (ROOT / "config.example.toml").read_text(encoding="utf-8")
    catalogue = (ROOT / "systemd/sensor-agent.catalog").read_text(encoding="utf-8")
    made = {
        "commands.md": reference.commands_page(),
        "configuration.md": reference.configuration_page(example),
        "contracts.md": reference.contracts_page(catalogue, said),
    }
    made |= {name.lower(): (ROOT / name).read_text(encoding="utf-8") for name in OF_THE_ROOT}
    for name, text in made.items():
        content = text.replace("](docs/", "](")
        for other in OF_THE_ROOT:
            content = content.replace(f"]({other}", f"]({other.lower()}")
        files.append(File.generated(config, name, content=content))
    return files
