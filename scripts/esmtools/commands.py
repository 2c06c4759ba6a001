"""Command lines from functions: the parameters of a function are the arguments of its command."""

import argparse
import inspect
import typing
from collections.abc import Callable

Command = Callable[..., None]


def add_arguments(parser: argparse.ArgumentParser, command: Command) -> None:
    """Positional parameters become positional arguments, *parameters any number of them, keyword-only ones options."""
    kinds = typing.get_type_hints(command)
    for name, parameter in inspect.signature(command).parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            parser.add_argument(name, type=kinds[name], nargs="*")
        elif parameter.kind is parameter.KEYWORD_ONLY:
            parser.add_argument("--" + name.replace("_", "-"), type=kinds[name], required=True)
        else:
            parser.add_argument(name, type=kinds[name])


def call(command: Command, given: dict[str, typing.Any]) -> None:
    positional: list[typing.Any] = []
    options = {}
    for name, parameter in inspect.signature(command).parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional += given[name]
        elif parameter.kind is parameter.KEYWORD_ONLY:
            options[name] = given[name]
        else:
            positional.append(given[name])
    command(*positional, **options)


def run_command(command: Command) -> None:
    """A program that does one thing; its help is the docstring of the function."""
    parser = argparse.ArgumentParser(description=command.__doc__)
    add_arguments(parser, command)
    call(command, vars(parser.parse_args()))


def run_commands(description: str | None, *commands: Command) -> None:
    """A program with one sub-command for each function; `_` in a name is `-` on the command line."""
    parser = argparse.ArgumentParser(description=description)
    parsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in commands:
        one = parsers.add_parser(command.__name__.replace("_", "-"), help=command.__doc__, description=command.__doc__)
        add_arguments(one, command)
        one.set_defaults(command=command)
    given = vars(parser.parse_args())
    call(given.pop("command"), given)
