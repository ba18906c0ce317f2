"""The configuration: what the operator wrote, checked whole before anything is touched."""

from agent.config.files import load
from agent.config.sections import (
    ClockConfig,
    Config,
    DeviceConfig,
    EnrollConfig,
    IdentityConfig,
    SpoolConfig,
    SubjectConfig,
    UplinkConfig,
)
from agent.config.sensors import SensorConfig

__all__ = [
    "ClockConfig",
    "Config",
    "DeviceConfig",
    "EnrollConfig",
    "IdentityConfig",
    "SensorConfig",
    "SpoolConfig",
    "SubjectConfig",
    "UplinkConfig",
    "load",
]
