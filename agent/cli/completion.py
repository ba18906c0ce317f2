"""`completion`: what the shell offers at TAB, made of the parsers, so that it can never be behind them.

The script is a table of words: pressing TAB starts no Python, which takes a third of a second on a small board.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

ABOUT: Final = (
    'Print the completion of a shell: eval "$(sensor-agent completion bash)". The Debian package has bash\'s.'
)
FILES: Final = frozenset({"F", "FILE", "DIR", "OUT", "CERT", "ROOT", "OUT.p12"})  # the metavars of what is a path
# zsh runs bash's completions by itself, once it is told to
BEFORE: Final = {"bash": "", "zsh": "autoload -U +X bashcompinit && bashcompinit\n"}
SCRIPT: Final = """\
# completion of sensor-agent, written by: sensor-agent completion
_sensor_agent() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} at= i words= options=
    # --option=value comes as three words
    if [[ $cur == "=" ]]; then cur=
    elif [[ $prev == "=" ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$at ${COMP_WORDS[i]}" in
            @COMMANDS@) at="$at ${COMP_WORDS[i]}" ;;
        esac
    done
    case "$at $prev" in
@VALUES@
    esac
    case "$at" in
@WORDS@
    esac
    [[ $cur == -* || -z $words ]] && words=$options
    if [[ $words == "<file>" ]]; then
        compopt -o filenames 2>/dev/null
        COMPREPLY=($(compgen -f -- "$cur"))
    else
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
    fi
}
complete -F _sensor_agent sensor-agent
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add `completion`."""
    command = commands.add_parser(
        "completion", parents=[common], help="the shell's completion, as a script", description=ABOUT
    )
    command.add_argument("shell", choices=sorted(BEFORE), help="which shell")
    command.set_defaults(handler=completion)


def completion(args: argparse.Namespace) -> int:
    """Print the script."""
    from agent.cli import parser

    sys.stdout.write(BEFORE[args.shell] + script(parser()))
    return 0


def script(top: argparse.ArgumentParser) -> str:
    """The script for the whole command line below `top`."""
    places = list(_places(top, ""))
    commands = "|".join(f'"{place}"' for place, _ in places if place)
    values = [line for place, of in places for line in _values(place, of)]
    words = [
        f'        "{place}") words="{" ".join(_words(of))}" options="{" ".join(_options(of))}" ;;'
        for place, of in places
    ]
    return (
        SCRIPT.replace("@COMMANDS@", commands)
        .replace("@VALUES@", "\n".join(values))
        .replace("@WORDS@", "\n".join(words))
    )


def _places(of: argparse.ArgumentParser, place: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command with the words that lead to it, each after a blank: ` identity show`; empty for the top."""
    yield place, of
    for name, command in _commands(of).items():
        yield from _places(command, f"{place} {name}")


def _values(place: str, of: argparse.ArgumentParser) -> Iterator[str]:
    """What may follow each option that takes a value: its choices, a file, or nothing that we know."""
    by_offer: dict[str, list[str]] = {}
    for action in _shown(of):
        if action.option_strings and action.nargs != 0:
            by_offer.setdefault(_offer(action), []).extend(action.option_strings)
    for offer, options in by_offer.items():
        pattern = "|".join(f'"{place} {option}"' for option in options)
        if offer == "<file>":
            yield f'        {pattern}) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return ;;'
        else:
            yield f'        {pattern}) COMPREPLY=($(compgen -W "{offer}" -- "$cur")); return ;;'


def _words(of: argparse.ArgumentParser) -> Sequence[str]:
    """What may stand next without a dash: commands, or what the first positional argument offers."""
    positional = [each for each in _shown(of) if not each.option_strings]
    return list(_commands(of)) or [_offer(each) for each in positional[:1]]


def _options(of: argparse.ArgumentParser) -> Sequence[str]:
    return [option for action in _shown(of) for option in action.option_strings]


def _offer(action: argparse.Action) -> str:
    if action.choices:
        return " ".join(map(str, action.choices))
    return "<file>" if action.type is Path or action.metavar in FILES else ""


def _commands(of: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in of._actions:  # noqa: SLF001 - argparse tells nobody else
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            return dict(action.choices)
    return {}


def _shown(of: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in of._actions if action.help != argparse.SUPPRESS]  # noqa: SLF001
