"""sensor-agent: reads temperatures, spools them, delivers them through a mutual-TLS shield."""
