#!/usr/bin/env python3
"""graymeshd under everything at once, for long: its memory must stay flat, and every change must arrive.

Endpoints and routes change at random; proxies break off and come back with what they hold, or start anew with
nothing; some read slowly, some not at all; graymeshd is killed (SIGKILL) three times, in between it lives for a third of
the time. After every round a change must be at every proxy that reads. After every other round nothing happens for a
while, and what graymeshd then holds is noted: under load its memory swings with the rate of the changes, by more than
any leak that a test of this length could find. What it grew by between the time when a life was warm and its end must be
below 24 MB or a tenth.

    bench/soak.py --minutes 10 --streams 300      what `make soak` does (SOAK_MINUTES, SOAK_STREAMS)
    bench/soak.py --minutes 60
"""

import argparse
import random
import statistics
import sys
import time

import measure
from measure import Graymeshd, Load, Mesh

LIVES = 3
NOTES_MIN = 4  # of memory in a life; fewer cannot tell growth
ROUND_SECONDS = 10
QUIET_EVERY = 2  # rounds
QUIET_SECONDS = 12  # graymeshd gives back what it has freed every 10 s (main/memory.cc)
GROWTH_MB, GROWTH_SHARE = 24, 0.10
WARM_SHARE = 0.4  # of a life: until then it may grow


class Life:
    """One graymeshd, from its start to its kill."""

    def __init__(self, number, server):
        self.number, self.server = number, server
        self.most = 0.0  # MB, ever
        self.memory = []  # MB, each time that it was quiet

    def note(self):
        """What it holds when nothing happens, in MB; it takes QUIET_SECONDS."""
        time.sleep(QUIET_SECONDS)
        self.memory.append(self.server.memory("VmRSS"))
        return self.memory[-1]

    def growth(self):
        """MB between the time when it was warm and the end, by medians of a third each; and what it had when warm."""
        begin = int(len(self.memory) * WARM_SHARE)
        rest = self.memory[begin:]
        half = max(1, len(rest) // 3)
        return statistics.median(rest[-half:]) - statistics.median(rest[:half]), statistics.median(rest[:half])


def disturb(load, rnd, streams):
    """What happens to proxies in a round. All read again at its end."""
    few = max(1, streams // 20)
    for verb in rnd.sample(("drop", "forget", "stuck", "slow"), 2):
        count = rnd.randint(1, few)
        load.say(f"{verb} {count}" + (f" {rnd.choice((20_000, 200_000, 2_000_000))}" if verb == "slow" else ""))


def change(mesh, rnd, seconds):
    rate = rnd.choice((2, 10, 40))
    end = time.monotonic() + seconds
    made = 0
    while time.monotonic() < end:
        kind = "route" if rnd.random() < 0.1 else "endpoint"
        if mesh.numbers[kind] >= 9_000:  # what the marks of ads/watch.h have room for
            mesh.numbers[kind] = measure.TARGETS
        mesh.change(kind)
        made += 1
        time.sleep(rnd.expovariate(rate))
    return made


def all_current(load, mesh, limit=60):
    """All read as usual; then one change must come to every one of them."""
    load.say("usual")
    figures = load.follow(mesh, "endpoint", lambda make: make(), limit)
    if figures["missing"]:
        raise measure.Trouble(f"{figures['missing']} proxies did not get a change within {limit} s: {load.counts()}")
    return figures["last"]


def live(life, load, mesh, rnd, seconds, streams):
    end = time.monotonic() + seconds
    rounds = 0
    while time.monotonic() < end or not life.memory:
        disturb(load, rnd, streams)
        made = change(mesh, rnd, min(ROUND_SECONDS, max(1.0, end - time.monotonic())))
        last = all_current(load, mesh)
        rounds += 1
        busy = life.server.memory("VmRSS")
        quiet = f", {life.note():.0f} MB when quiet" if rounds % QUIET_EVERY == 0 else ""
        print(f"life {life.number}: {made} changes, then one more everywhere after {last:.0f} ms; "
              f"{busy:.0f} MB{quiet}", flush=True)


def soak(minutes, streams, seed):
    rnd = random.Random(seed)
    mesh = Mesh(700, max(1100, streams))
    server = load = None
    lives = []
    try:
        server = Graymeshd(mesh)
        load = Load(server.xds, mesh, streams, options=["--threads", "2", "--seed", str(seed)])
        load.synced(300)
        for number in range(1, LIVES + 1):
            lives.append(Life(number, server))
            live(lives[-1], load, mesh, rnd, minutes * 60 / LIVES, streams)
            lives[-1].most = server.memory()
            if number < LIVES:
                server.kill()
                change(mesh, rnd, 1)
                server = server.again(mesh)
                print(f"killed; all current {all_current(load, mesh):.0f} ms after a change that followed", flush=True)
        counts = load.counts()
    finally:
        if load:
            load.close()
        if server:
            server.kill()
        mesh.close()
    print("connections that ended:", counts["ended"])
    print("resent:", sum(of["resent"] for of in counts["types"].values()))
    return lives


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--minutes", type=float, default=10)
    options.add_argument("--streams", type=int, default=300)
    options.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    options = options.parse_args()
    print(f"soak for {options.minutes} min, {options.streams} proxies, --seed {options.seed}", flush=True)
    if options.minutes * 60 / LIVES < NOTES_MIN * QUIET_EVERY * ROUND_SECONDS + NOTES_MIN * QUIET_SECONDS:
        sys.exit(f"soak.py: {options.minutes:g} min are too short to tell whether memory grows")
    bad = []
    for life in soak(options.minutes, options.streams, options.seed):
        growth, base = life.growth()
        print(f"life {life.number}: {base:.0f} MB when warm, {growth:+.1f} MB by its end, "
              f"{life.most:.0f} MB at the most")
        if growth > GROWTH_MB and growth > GROWTH_SHARE * base:
            bad.append(life.number)
    if bad:
        sys.exit(f"soak.py: memory grew in life {bad}; --seed {options.seed} does it again")


if __name__ == "__main__":
    try:
        main()
    except measure.Trouble as trouble:
        sys.exit(f"soak.py: {trouble}")
