"""Words of another machine, fit for a terminal and a log, where none of them may pass for ours."""


def printable(text: object, most: int) -> str:
    """On one line of at most so many letters; what does not print, as an escape sequence, becomes `?`."""
    line = " ".join(str(text)[: 4 * most].split())[:most]
    return line if line.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in line)
