"""sensor-agent: reads temperatures, spools them, delivers them through a mutual-TLS shield."""

__version__ = "0.1.0"  # here, since importlib.metadata costs the daemon 4 MiB and 30 ms
