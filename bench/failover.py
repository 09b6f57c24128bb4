#!/usr/bin/env python3
"""Two graymeshd, and simulated sidecars that know both; one of the two is lost, and its half moves to the other.

An endpoint changes right after the loss. How long until every sidecar has the change, what that costs the other
graymeshd, how many connections ended that nobody had cut, and whether anything was sent again.

    bench/failover.py                                700 services, 1,100 sidecars, kill -9
    bench/failover.py --streams 300 --stop           SIGSTOP: its machine says nothing, so pings must find it
"""

import argparse
import signal
import sys
import time

import measure
from measure import Graymeshd, Load, Mesh, quiet


def move(lost, other, load, mesh, stop):
    """Seconds from the loss until all are current, CPU seconds of `other`, and what the load client counted."""
    load.say("reset")
    cpu, begun = other.cpu(), time.monotonic()
    if stop:
        lost.child.send_signal(signal.SIGSTOP)
    else:
        lost.kill()
    figures = load.follow(mesh, "endpoint", lambda change: change(), 120)
    took, used = time.monotonic() - begun, other.cpu() - cpu
    if figures["missing"]:
        raise measure.Trouble(f"{figures['missing']} sidecars are not current after 120 s: {load.counts()}")
    quiet(load)
    return took, used, load.counts()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--services", type=int, default=700)
    options.add_argument("--streams", type=int, default=1100)
    options.add_argument("--stop", action="store_true", help="SIGSTOP in place of SIGKILL")
    options = options.parse_args()
    mesh = Mesh(options.services, max(options.streams, 1100))
    servers, load = [], None
    try:
        servers += [Graymeshd(mesh), Graymeshd(mesh)]
        load = Load(",".join(server.xds for server in servers), mesh, options.streams, options=["--threads", "2"])
        load.synced(600)
        quiet(load)
        took, used, counts = move(*servers, load, mesh, options.stop)
        types = counts["types"].values()
        moved = options.streams // 2
        print(f"{moved} of {options.streams} sidecars moved: all current after {took:.2f} s, "
              f"{used:.2f} CPU-s of the other graymeshd\n"
              f"resources sent again: {sum(of['resent'] for of in types)}, endpoints lost: {sum(of['emptied'] for of in types)}\n"
              f"connections that ended, by why: {counts['ended']}")
    finally:
        if load:
            load.close()
        for server in servers:
            server.child.send_signal(signal.SIGCONT)
            server.kill()
        mesh.close()


if __name__ == "__main__":
    try:
        main()
    except measure.Trouble as trouble:
        sys.exit(f"failover.py: {trouble}")
