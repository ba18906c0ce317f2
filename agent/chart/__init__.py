"""Drawings of temperatures over time, for a terminal and for a browser. Pure: numbers in, text out."""

from agent.chart.series import Hole, Series

__all__ = ["Hole", "Series"]
