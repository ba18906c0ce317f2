"""Exceptions raised on purpose, named after who must act; a module has one of its own where its callers tell it apart.

`exit_code` is what a command ends with when the error reaches it (sysexits.h numbers from 64 on):
1 a fault in the agent, 2 usage, 65 unusable answer, 73 cannot write, 75 try again later, 77 refused, 78 configuration.
"""

from typing import ClassVar, Final

# for hints; both write into root's own directory
ENROLL: Final = "sudo sensor-agent enroll"
RENEW: Final = "sudo sensor-agent renew"


class AgentError(Exception):
    """`hint` is the next command to run or the file to mend; empty when the message says it all."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(AgentError):
    """The command cannot be done as it was typed; nothing was changed."""

    exit_code = 2


class ConfigError(AgentError):
    """The operator must mend the configuration; `problems` holds every one found, each with its path."""

    exit_code = 78

    def __init__(self, problems: list[str] | str, *, hint: str = "") -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems), hint=hint)


class SensorError(AgentError):
    """This reading did not happen. `reason` is a short token (`crc`, `power_on_reset` …), the message a sentence.

    `transient` says that reading again within the same tick can help.
    """

    kind: ClassVar[str] = "unreadable"
    transient: ClassVar[bool] = False

    def __init__(self, reason: str, message: str, *, hint: str = "") -> None:
        super().__init__(f"{reason}: {message}", hint=hint)
        self.reason = reason


class Absent(SensorError):
    """Nothing answers where the configuration says the sensor is."""

    kind = "absent"


class Unreadable(SensorError):
    """Something answers, but not with a reading: checksum, no data, input/output error."""

    kind = "unreadable"
    transient = True


class BusStuck(Unreadable):
    """The bus timed out; every further try costs a second, so none is made within the tick."""

    transient = False


class Implausible(SensorError):
    """A number came out that cannot be the temperature: power-on value, shorted bus, out of the rated range."""

    kind = "implausible"
    transient = True


class Misconfigured(SensorError):
    """The configuration names something that this board does not have or does not allow."""

    kind = "misconfigured"


class SpoolError(AgentError):
    """The spool cannot store or be read; the readings in memory stay there."""

    exit_code = 73


class ForeignSpool(SpoolError):
    """`spool.path` holds a file of somebody else; it was not touched."""

    exit_code = 78


class IdentityError(AgentError):
    """The device's key or certificate is absent or cannot be used."""

    exit_code = 78


class TryLater(AgentError):
    """Nothing is wrong with the device; network, issuer or clock is not ready. Not before `after` seconds from now."""

    exit_code = 75

    def __init__(self, message: str, *, hint: str = "", after: float = 0.0) -> None:
        super().__init__(message, hint=hint)
        self.after = after


class Refused(AgentError):
    """The issuer said no: token, permission, policy or quota."""

    exit_code = 77


class UnusableAnswer(AgentError):
    """The issuer said yes but sent something that is not this device's certificate."""

    exit_code = 65


class CannotWrite(AgentError):
    """State cannot be written: disk full, read-only, no permission. Nothing was changed."""

    exit_code = 73
