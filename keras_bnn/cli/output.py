"""What all commands print, and how."""

import json
import sys
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def show(value: Any, as_json: bool, text: str) -> None:
    """Prints `value` as JSON, or `text` for people, on standard output."""
    print(json.dumps(value, indent=2) if as_json else text)


def progress(line: str) -> None:
    """Prints one line of progress on standard error."""
    print(line, file=sys.stderr, flush=True)
