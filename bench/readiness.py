#!/usr/bin/env python3
"""How long a probe waits while 3,360 changed clusters are pushed to a real Envoy: Envoy's own /ready, which its main
thread answers, the sidecar's, and graymeshd's. A kubelet's probe waits for 1 s.

    bench/readiness.py             the longest of each of three pushes
"""

import argparse
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
os.environ.setdefault("GRAYMESH_BIN", str(ROOT / "build-release/bin"))
sys.path.insert(0, str(ROOT / "tests/e2e"))
import case  # noqa: E402
import readiness_test  # noqa: E402


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pushes", type=int, default=3)
    options = options.parse_args()
    print("longest /ready, s   Envoy  sidecar  graymeshd   asked", flush=True)
    with readiness_test.Probed() as probed:
        for number in range(1, options.pushes + 1):
            polls = probed.push()
            envoy, ours, control_plane = (max(poll.times) for poll in polls)
            asked = " ".join(str(len(poll.times)) for poll in polls)
            print(f"push {number:<14} {envoy:5.3f}    {ours:5.3f}      {control_plane:5.3f}   {asked}", flush=True)


if __name__ == "__main__":
    case.skip_without_envoy()
    try:
        main()
    except AssertionError as trouble:
        sys.exit(f"readiness.py: {trouble}")
