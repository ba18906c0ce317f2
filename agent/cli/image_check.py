"""`image-check`: whether a golden image holds something that would make two devices one."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from agent import image
from agent.cli.render import write_json
from agent.errors import ConfigError, UsageError


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add `image-check`."""
    command = commands.add_parser(
        "image-check",
        parents=[common],
        help="is this image clean of keys, tokens, readings and ids",
        description="Look into the tree of an image, without booting it, for what would make two devices one.",
        epilog="Exit codes: 0 clean, 1 something is in it, 78 there is no such tree, or something in it cannot be looked into.",
    )
    command.add_argument("tree", type=Path, metavar="ROOT", help="where the image's root file system is mounted")
    command.add_argument("--json", action="store_true", help="one JSON object")
    command.set_defaults(handler=image_check)


def image_check(args: argparse.Namespace) -> int:
    """Name everything that is in the way; 0 if nothing is, else 1."""
    if not image.look(image.names, image.inside(args.tree, "/etc", last=True)):
        raise ConfigError(f"{args.tree}: is not the root of a system (it has no etc)", hint=f"mount | grep {args.tree}")
    found = list(image.findings(args.tree, image.places(args.tree, str(args.config))))
    if args.json:
        write_json({"ok": not found, "found": [{"what": e.what, "path": e.path, "why": e.why} for e in found]})
    else:
        for each in found:
            sys.stdout.write(f"FAIL  {each.what}: {each.path}: {each.why}\n")
        sys.stdout.write(f"{args.tree}: clean\n" if not found else "")
    if found:
        reset = f"sensor-agent --root {args.tree} identity reset --image"
        sys.stderr.write(f"  next: {'; '.join(dict.fromkeys(each.fix or reset for each in found))}\n")
    return 1 if found else 0


def clean(root: Path, config_file: Path) -> Iterator[str]:
    """Remove what `image-check` would name; gives each path. Raises UsageError for the running system itself."""
    if root.resolve() == Path("/"):
        raise UsageError(
            "--image is for an image that does not run: here it would remove this device's readings, key and ids",
            hint="sudo sensor-agent --root DIR identity reset --image # DIR: where the image is mounted",
        )
    return image.clean(root, image.places(root, str(config_file)))
