"""What is written, held against the kinds of those who read it. Imported, it lets them be imported, if
tools/install-deps --test has brought them."""

import os
import pathlib
import sys

CACHE = pathlib.Path(os.environ.get("GRAYMESH_CACHE") or pathlib.Path.home() / ".cache/graymesh")
sys.path[1:1] = [str(path) for path in CACHE.glob("venv/lib/python3*/site-packages")]


def lost(written, read, path=""):
    """The fields that a kind does not have: they are not there when what was written is read by it."""
    if isinstance(written, dict) and isinstance(read, dict):
        for key, value in written.items():
            yield from lost(value, read[key], f"{path}.{key}") if key in read else [f"{path}.{key}"]
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for index, (one, other) in enumerate(zip(written, read)):
            yield from lost(one, other, f"{path}[{index}]")
    elif isinstance(written, (dict, list)):
        yield path
