"""A copy of the agent with its bytecode, as an installed one has it: a checkout may compile what changed at each start."""

import atexit
import compileall
import functools
import py_compile
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

AGENT = Path(__file__).parents[2] / "agent"


@functools.cache
def compiled(python: str = sys.executable) -> str:
    """The directory for $PYTHONPATH (and $PYTHONSAFEPATH=1, else a checkout that is the working directory wins), with bytecode of that interpreter; gone when this process ends."""
    place = tempfile.mkdtemp(prefix="bench-compiled-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    shutil.copytree(AGENT, Path(place) / "agent", ignore=shutil.ignore_patterns("__pycache__"))
    if python == sys.executable:
        compileall.compile_dir(place, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    else:
        compile_all = [python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", place]
        subprocess.run(compile_all, check=True)
    return place
