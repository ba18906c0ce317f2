"""`python -m agent` is `sensor-agent`."""

from agent.cli import main

raise SystemExit(main())
