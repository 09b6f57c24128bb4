#!/usr/bin/env python3
"""Holds src/ against the room table in docs/architecture.md.

Four promises: every #include "..." stays within what the row of its room allows, every room's
USES in CMake is within its row too and covers what the room includes, every folder with code has a row,
and nobody but base/json.h includes <nlohmann/json.hpp>.

    tests/rooms_test.py           checks the checkout, and that the checker finds what it should
    tests/rooms_test.py --root D  only checks the tree D
"""

import argparse
import pathlib
import re
import sys
import tempfile

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
JSON_INCLUDE = re.compile(r"^\s*#\s*include\s+<nlohmann/json\.hpp>")
ROOM_CALL = re.compile(r"^(room|program)\s*\(\s*(\S+)(.*?)\)", re.MULTILINE | re.DOTALL)
CMAKE_WORDS = {"SOURCES", "TESTS", "USES", "PRECOMPILED", "LINKS", "TEST_LINKS"}
PROTOS = "xds_protos"
# The first folders of the generated protos, whose includes are written with quotes like ours.
PROTO_FOLDERS = {"envoy", "udpa", "xds", "validate", "cel", "google"}


def read_table(root):
    """The rows of the room table: what each room may include, by room."""
    allowed = {}
    for line in (root / "docs/architecture.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) != 3 or not re.fullmatch(r"`[a-z/_]+`", cells[0]):
            continue
        allowed[cells[0].strip("`")] = set(re.findall(r"`([a-z/_]+)`", cells[2]))
    for room, names in allowed.items():
        if "all" in names:
            allowed[room] = set(allowed) - {room} | {PROTOS}
    return allowed


def room_of(path, rooms):
    """The room that holds `path`, relative to src/: the longest that is a prefix. None if none is."""
    holders = [room for room in rooms if path.startswith(room + "/")]
    return max(holders, key=len, default=None)


def included_room(name, rooms):
    """The room that #include "name" reaches for; None if it is no room's."""
    if name.split("/")[0] in PROTO_FOLDERS and "/" in name:
        return PROTOS
    return room_of(name, rooms)


def check_file(path, root, allowed, used):
    relative = path.relative_to(root / "src").as_posix()
    room = room_of(relative, allowed)
    if room is None:
        return [f"src/{relative}: is in no room that docs/architecture.md knows"]
    problems = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        place = f"src/{relative}:{number}"
        if JSON_INCLUDE.match(line) and relative != "base/json.h":
            problems.append(f'{place}: include "base/json.h", which compiles JSON once (docs/adr/0011)')
        match = INCLUDE.match(line)
        if not match:
            continue
        target = included_room(match.group(1), allowed)
        if target is None:
            problems.append(f'{place}: room {room} includes "{match.group(1)}", which is in no room; '
                            "write ours from src/ on, and others' with <>")
        elif target == room:
            continue
        elif target not in allowed[room]:
            problems.append(f"{place}: room {room} must not include {target}; "
                            f"docs/architecture.md allows {', '.join(sorted(allowed[room])) or 'none'}")
        else:
            used.setdefault(room, {}).setdefault(target, place)
    return problems


def read_uses(path):
    """What the rooms and programs declared in a CMakeLists.txt use: (kind, name, set of rooms)."""
    text = re.sub(r"#.*", "", path.read_text())
    for kind, name, rest in ROOM_CALL.findall(text):
        section, uses = None, set()
        for word in rest.split():
            if word in CMAKE_WORDS:
                section = word
            elif section == "USES":
                uses.add(word)
        yield kind, name, uses


def reachable(room, uses, seen=None):
    """The rooms whose headers `room` gets by its USES and by theirs."""
    seen = set() if seen is None else seen
    for other in uses.get(room, ()):
        if other not in seen:
            seen.add(other)
            reachable(other, uses, seen)
    return seen


def check_uses(root, allowed, used):
    problems, uses = [], {}
    for path in sorted((root / "src").rglob("CMakeLists.txt")):
        folder = path.parent.relative_to(root / "src").as_posix()
        place = f"src/{folder}/CMakeLists.txt"
        for kind, name, names in read_uses(path):
            room = name if kind == "room" else room_of(folder + "/", allowed)
            if kind == "room" and name != folder:
                problems.append(f"{place}: room {name} is declared in the folder {folder}")
            if room not in allowed:
                problems.append(f"{place}: room {name} is not in the table of docs/architecture.md")
                continue
            uses.setdefault(room, set()).update(names)
            for other in sorted(names - allowed[room] - {room}):
                problems.append(f"{place}: room {room} must not use {other}; "
                                f"docs/architecture.md allows {', '.join(sorted(allowed[room])) or 'none'}")
    for room, targets in sorted(used.items()):
        for target, place in sorted(targets.items()):
            if room in uses and target not in reachable(room, uses):
                problems.append(f"{place}: room {room} includes {target}, but its USES in CMake does not name it")
    return problems


def check(root):
    """Every problem of the tree `root`, as `file:line: what and why`."""
    allowed = read_table(root)
    if not allowed:
        return ["docs/architecture.md: has no room table"]
    problems, used = [], {}
    for path in sorted((root / "src").rglob("*")):
        if path.suffix in (".h", ".cc"):
            problems += check_file(path, root, allowed, used)
    return problems + check_uses(root, allowed, used)


def check_the_checker():
    """Plants one fault of each kind in a small tree; returns what was not found, or not told well."""
    table = ("| room | is | may include |\n| --- | --- | --- |\n"
             "| `base` | | — |\n| `model` | | `base` |\n| `control/xds` | | `base`, `xds_protos` |\n")
    good = {
        "docs/architecture.md": table,
        "src/base/base.h": "#include <string>\n",
        "src/base/CMakeLists.txt": "room(base SOURCES base.cc)\n",
        "src/model/model.h": '#include "base/base.h"\n',
        "src/model/CMakeLists.txt": "room(model\n  SOURCES model.cc\n  USES base\n  LINKS fmt::fmt)\n",
        "src/control/xds/xds.cc": '#include "envoy/type/v3/range.pb.h"\n#include "base/base.h"\n',
        "src/control/xds/CMakeLists.txt": "room(control/xds SOURCES xds.cc USES base xds_protos)\n",
    }
    faults = [
        # what is planted, and every part that the message must have
        ({}, None),
        ({"src/base/base.h": '#include <string>\n#include "model/model.h"\n'},
         ["src/base/base.h:2", "room base must not include model", "docs/architecture.md allows none"]),
        ({"src/model/model.h": '#include "envoy/type/v3/range.pb.h"\n'},
         ["src/model/model.h:1", "room model must not include xds_protos", "allows base"]),
        ({"src/control/xds/xds.cc": '#include "model/model.h"\n'},
         ["src/control/xds/xds.cc:1", "room control/xds must not include model"]),
        ({"src/model/model.h": '#include "base.h"\n'}, ["src/model/model.h:1", "is in no room"]),
        ({"src/base/json.h": "#include <nlohmann/json.hpp>\n"}, None),
        ({"src/model/model.h": "#include <nlohmann/json.hpp>\n"}, ["src/model/model.h:1", "base/json.h"]),
        ({"src/other/other.h": "\n"}, ["src/other/other.h", "in no room that docs/architecture.md knows"]),
        ({"src/base/CMakeLists.txt": "room(base SOURCES base.cc USES model)\n"},
         ["src/base/CMakeLists.txt", "room base must not use model"]),
        ({"src/model/CMakeLists.txt": "room(model SOURCES model.cc)\n"},
         ["src/model/model.h:1", "USES in CMake does not name it"]),
    ]
    failures = []
    for planted, expected in faults:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in {**good, **planted}.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            problems = check(root)
        if expected is None and problems:
            failures.append(f"a clean tree was refused: {problems}")
        if expected is not None and not any(all(part in line for part in expected) for line in problems):
            failures.append(f"planted {planted}, expected {expected}, got {problems}")
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path)
    root = parser.parse_args().root
    problems = [] if root else [f"the checker itself: {failure}" for failure in check_the_checker()]
    problems += check(root or pathlib.Path(__file__).resolve().parent.parent)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
