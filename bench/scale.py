#!/usr/bin/env python3
"""What 100,000 proxies would take: a simulation of docs/scale.md, from costs that bench/load.py measured.

Proxies come to replicas by chance, wait in line for CPU and for the network card, and are served one after the other;
a killed replica's proxies come to the others within a jittered back-off. What is assumed is printed first; each
assumption is a flag, so that better measurements can be put in.

    bench/scale.py
    bench/scale.py --cpu-cold-ms 5 --cores 16
"""

import argparse
import random

# (proxies, regions, replicas in each region, share of the mesh that a sidecar sees)
SHAPES = ((1_100, 1, 1, 1.0), (10_000, 1, 4, 1.0), (100_000, 4, 8, 1.0), (100_000, 4, 8, 0.05))


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    # Measured, docs/performance.md: 700 services, 1,100 delta streams, 2 cores that the client and compilers share.
    add("--cpu-cold-ms", type=float, default=5.3, help="CPU of one cold stream: 5.8 s / 1,100")
    add("--cpu-return-ms", type=float, default=2.9, help="of one that comes back: (3.6 s - 0.4 s of start) / 1,100")
    add("--cpu-endpoint-fixed-ms", type=float, default=5, help="of one endpoint change, whoever listens")
    add("--cpu-endpoint-stream-ms", type=float, default=0.052, help="of it, for each stream: (62 - 5) ms / 1,100")
    add("--cpu-route-stream-ms", type=float, default=0.6, help="of one route change, for each stream")
    add("--cpu-idle-ms", type=float, default=0.056, help="of one idle stream in a second: pings")
    add("--cold-mb", type=float, default=4.72, help="sent to a cold stream")
    add("--return-mb", type=float, default=0.71, help="heard from one that comes back")
    add("--route-mb", type=float, default=1.11, help="sent to a stream for one route, without VHDS")
    add("--memory-base-mb", type=float, default=110, help="graymeshd with all scopes of the mesh")
    add("--memory-stream-mb", type=float, default=0.115, help="for each stream: (237 - 110) MB / 1,100")
    # Assumed.
    add("--cores", type=int, default=8, help="of each replica")
    add("--nic-gbit", type=float, default=10, help="of each replica")
    add("--busy", type=float, default=0.7, help="share of the cores that pushes may take")
    add("--scopes", type=int, default=10, help="different views of the mesh in a region; a namespace is one")
    add("--backoff-s", type=float, default=1.0, help="proxies come back within it, by chance")
    add("--endpoint-rate", type=float, default=10, help="endpoint changes a second, of the whole mesh")
    add("--seed", type=int, default=1)
    return parser.parse_args()


def serve(arrivals, cpu_seconds, mb, it):
    """Two lines one behind the other, CPU and network: when the last is served, and the one at 99 %."""
    cpu_free = nic_free = 0.0
    done = []
    for at in sorted(arrivals):
        cpu_free = max(cpu_free, at) + cpu_seconds / (it.cores * it.busy)
        nic_free = max(nic_free, cpu_free) + mb * 8 / 1000 / it.nic_gbit
        done.append(nic_free)
    return done[-1], done[int(len(done) * 0.99) - 1]


def spread(count, replicas, rnd, within):
    """Arrivals at each replica, if each proxy chooses one by chance."""
    lines = [[] for _ in range(replicas)]
    for _ in range(count):
        lines[rnd.randrange(replicas)].append(rnd.random() * within)
    return [line for line in lines if line]


def row(proxies, regions, replicas, share, it, rnd):
    in_region = proxies // regions
    cold = [serve(line, it.cpu_cold_ms / 1000 * share, it.cold_mb * share, it)
            for line in spread(in_region, replicas, rnd, it.backoff_s)]
    survivors = max(1, replicas - 1)
    lost = in_region // replicas  # those of one replica; with one only, all come back to the next one
    back = [serve(line, it.cpu_return_ms / 1000 * share, it.return_mb * share, it)
            for line in spread(lost, survivors, rnd, it.backoff_s)]
    streams = in_region / replicas
    # A sidecar hears of a change if it sees the service.
    endpoint = (it.cpu_endpoint_fixed_ms + it.cpu_endpoint_stream_ms * streams * share) / 1000
    route = it.cpu_route_stream_ms * streams * share / 1000
    load = it.endpoint_rate * endpoint + it.cpu_idle_ms / 1000 * streams
    memory = it.memory_base_mb + it.memory_stream_mb * streams * (share + 0.3 * (1 - share))
    names = [
        f"{proxies:,} / {regions} / {replicas} / {share:.0%}",
        f"{streams:,.0f}",
        f"{max(last for last, _ in cold):.1f}",
        f"{max(last for last, _ in back):.1f}",
        f"{endpoint / (it.cores * it.busy) * 1000:.0f}",
        f"{max(route / (it.cores * it.busy), streams * share * it.route_mb * share * 8 / 1000 / it.nic_gbit) * 1000:.0f}",
        f"{load / it.cores:.0%}",
        f"{memory:.0f}",
        f"{in_region * share * it.route_mb * share:,.0f} / {it.scopes * it.route_mb:,.0f}",
    ]
    return names


HEADS = ("proxies / regions / replicas / seen", "streams a replica", "all cold, s", "a replica lost: all back, s",
         "endpoint everywhere, ms", "route everywhere, ms", "steady CPU", "memory, MB",
         "MB into a region for a route: direct / relay")


def main():
    it = options()
    print("assumed and measured:", ", ".join(f"{name} {value}" for name, value in vars(it).items()), "\n")
    rnd = random.Random(it.seed)
    print("| " + " | ".join(HEADS) + " |\n|" + " --- |" * len(HEADS))
    for shape in SHAPES:
        print("| " + " | ".join(row(*shape, it, rnd)) + " |")
    measured = argparse.Namespace(**{**vars(it), "cores": 2, "busy": 0.55, "nic_gbit": 20})
    last, _ = serve([0.0] * 1100, it.cpu_cold_ms / 1000, it.cold_mb, measured)
    print(f"\ncheck: 1,100 cold streams on 2 cores of which the client takes 45 %: {last:.1f} s; measured 7.3 s")


if __name__ == "__main__":
    main()
