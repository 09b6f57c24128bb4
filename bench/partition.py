#!/usr/bin/env python3
"""How soon real Envoys find out that a control plane is gone, and are current on the other one, by fault; the faults are
those of tests/e2e/partition_test.py, which leaves room for a busy machine. This does not: it ends with 1 where something
takes longer than is claimed. Needs root, `ip netns`, veth.

    bench/partition.py                 the worst of three rounds of each fault
    bench/partition.py --rounds 13     (docs/performance.md)
"""

import argparse
import os
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
os.environ.setdefault("GRAYMESH_BIN", str(ROOT / "build-release/bin"))
sys.path.insert(0, str(ROOT / "tests/e2e"))
import case  # noqa: E402
import partition_test  # noqa: E402


# docs/operations.md, Control planes that die.
CLAIMED = partition_test.Bounds(ended=1.0, silent=5.0, current=2.0, returned=3.0)


def seconds(values):
    known = [value for value in values if value is not None]
    return f"{max(known):.2f} s" if known else ""


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=3)
    partition_test.ROUNDS = options.parse_args().rounds
    partition_test.BOUNDS = CLAIMED
    done = unittest.TextTestRunner().run(unittest.defaultTestLoader.loadTestsFromModule(partition_test))
    print("| fault | found after | current after that |\n| --- | --- | --- |")
    figures = partition_test.Partition.figures
    for what in dict.fromkeys(figure[0] for figure in figures):
        found, current = zip(*(figure[1:] for figure in figures if figure[0] == what))
        print(f"| {what} | {seconds(found)} | {seconds(current)} |")
    return 0 if done.wasSuccessful() else 1


if __name__ == "__main__":
    case.skip_without_envoy()
    if reason := partition_test.why_not():
        sys.exit(f"partition.py: {reason}")
    sys.exit(main())
