"""What of an exception is told to a person."""

import ssl

import pytest

from agent.causes import plain


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(0, "_ssl.c:989: The handshake operation timed out"), "The handshake operation timed out"),
        (
            ssl.SSLError(8, "EOF occurred in violation of protocol (_ssl.c:2427)"),
            "EOF occurred in violation of protocol",
        ),
        (OSError(111, "Connection refused"), "Connection refused"),
    ],
)
def test_where_python_made_an_error_is_nobodys_concern(error: OSError, words: str) -> None:
    assert plain(error).partition(": ")[2] == words
