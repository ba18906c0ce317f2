"""What V8 says of a text that is not JSON: JSON.parse's error texts, the Worker's 500 answers repeat them.

They are those of workerd 1.20261117: none differed over 645 texts. V8 11.3 (node 20) leaves out line and
column, and has words for a missing colon at the first property only; over 30,000 damaged texts nothing else differed.
"""

import re
from typing import Final

WHITE: Final = " \t\n\r"
NO_JSON: Final = {"NaN", "Infinity", "undefined", "[object Object]"}  # V8 quotes these whole
CONTEXT: Final = 10  # characters shown either side of the unexpected one
_LINE_END: Final = re.compile(r"\r\n?|\n")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*')


def complaint(text: str) -> str:
    """The exception as a string, for a text that is not JSON: `SyntaxError: Unexpected token …`.

    JavaScript counts and cuts in UTF-16: a character beyond U+FFFF is two, and half of one is written as a whole.
    """
    fault = _Reader(_halves(text)).document() or "Unexpected end of JSON input"
    return "SyntaxError: " + fault.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _halves(text: str) -> str:
    """The text with each character beyond U+FFFF as its two surrogates."""
    if text.isascii():
        return text
    units = memoryview(text.encode("utf-16-le", "surrogatepass")).cast("H")
    return "".join(map(chr, units))


class _Reader:
    """Walks a text once, value by value, until something is not JSON; each method returns the complaint or ''."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0

    def document(self) -> str:
        fault = self._value()
        if fault or not self._peek():
            return fault
        return self._at("Unexpected non-whitespace character after JSON", within="")

    def _peek(self) -> str:
        while self._place < len(self._text) and self._text[self._place] in WHITE:
            self._place += 1
        return self._text[self._place : self._place + 1]

    def _value(self) -> str:
        letter = self._peek()
        match letter:
            case "{":
                return self._members()
            case "[":
                return self._elements()
            case '"':
                return self._string()
            case "t" | "f" | "n":
                return self._word({"t": "true", "f": "false", "n": "null"}[letter])
            case _ if letter and letter in "-0123456789":
                return self._number()
            case _:
                return self._unexpected()

    def _members(self) -> str:
        self._place += 1
        first = True
        while True:
            letter = self._peek()
            if letter == "}" and first:
                break
            if letter != '"':
                return self._at("Expected property name or '}'" if first else "Expected double-quoted property name")
            if fault := self._string():
                return fault
            if self._peek() != ":":
                return self._at("Expected ':' after property name")
            self._place += 1
            if fault := self._value():
                return fault
            first = False
            letter = self._peek()
            if letter == "}":
                break
            if letter != ",":
                return self._at("Expected ',' or '}' after property value")
            self._place += 1
        self._place += 1
        return ""

    def _elements(self) -> str:
        self._place += 1
        if self._peek() == "]":
            self._place += 1
            return ""
        while True:
            if fault := self._value():
                return fault
            letter = self._peek()
            if letter not in {",", "]"}:
                return self._at("Expected ',' or ']' after array element")
            self._place += 1
            if letter == "]":
                return ""

    def _word(self, word: str) -> str:
        for expected in word:
            if self._text[self._place : self._place + 1] != expected:
                return self._unexpected()
            self._place += 1
        return ""

    def _number(self) -> str:
        found = _NUMBER.match(self._text, self._place)
        if found is None:
            self._place += 1
            return self._at("No number after minus sign")
        self._place = found.end()
        follows = self._text[self._place : self._place + 1]
        if follows == "." and "." not in found[0] and "e" not in found[0].lower():
            self._place += 1
            return self._at("Unterminated fractional number")
        if follows and follows in "eE" and "e" not in found[0].lower():
            self._place += 2 if self._text[self._place + 1 : self._place + 2] in {"+", "-"} else 1
            return self._at("Exponent part is missing a number")
        if follows.isdecimal() and found[0].lstrip("-") == "0":
            return self._at("Unexpected number")
        return ""

    def _string(self) -> str:
        found = _STRING.match(self._text, self._place)
        self._place = found.end() if found else self._place
        letter = self._text[self._place : self._place + 1]
        if letter == '"':
            self._place += 1
            return ""
        if not letter:
            return self._at("Unterminated string")
        if letter != "\\":
            return self._at("Bad control character in string literal")
        self._place += 1
        escape = self._text[self._place : self._place + 1]
        if not escape or ord(escape) > 0xFF:
            return self._unexpected()
        if escape != "u":
            return self._at("Bad escaped character")
        self._place += 1
        while self._text[self._place : self._place + 1] in set("0123456789abcdefABCDEF"):
            self._place += 1
        return self._at("Bad Unicode escape")

    def _at(self, complaint: str, *, within: str = " in JSON") -> str:
        breaks = [found.end() for found in _LINE_END.finditer(self._text, 0, self._place)]
        column = self._place - (breaks[-1] if breaks else 0) + 1
        return f"{complaint}{within} at position {self._place} (line {len(breaks) + 1} column {column})"

    def _unexpected(self) -> str:
        text, place = self._text, self._place
        if text in NO_JSON:
            return f'"{text}" is not valid JSON'
        if place >= len(text):
            return "Unexpected end of JSON input"
        if text[place] in "-0123456789":
            return self._at("Unexpected number")
        if text[place] == '"':
            return self._at("Unexpected string")
        if len(text) <= 2 * CONTEXT:
            return f"Unexpected token '{text[place]}', \"{text}\" is not valid JSON"
        around = text[max(place - CONTEXT, 0) : place + CONTEXT]
        before = "..." if place >= CONTEXT else ""
        after = "..." if place < len(text) - CONTEXT else ""
        return f"Unexpected token '{text[place]}', {before}\"{around}\"{after} is not valid JSON"
