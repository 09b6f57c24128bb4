#!/usr/bin/env python3
"""What 100,000 proxies would take: a simulation of docs/scale.md, from costs that bench/load.py --curve measured.

Proxies come to replicas by chance, wait in line for CPU and for the network card, and are served one after the other;
a killed replica's proxies come to the others within a jittered back-off. What is assumed is printed first; each
assumption is a flag, so that better measurements can be put in. Last comes what the same costs say of points that were
measured, beside what was measured there: how far the model may be trusted.

    bench/scale.py
    bench/scale.py --cpu-cold-ms 5 --cores 16
"""

import argparse
import random

# (proxies, regions, replicas in each region, share of the mesh that a sidecar sees)
SHAPES = ((1_100, 1, 1, 1.0), (10_000, 1, 4, 1.0), (100_000, 4, 8, 1.0), (100_000, 4, 8, 0.05))
SERVICES = 700  # of which costs for a stream are told

# docs/performance.md, the curve of 1 December 2026; CPU of graymeshd in s, memory in MB, most ever before the kill.
MEASURED = (  # (services, streams): all cold, of it CPU, one endpoint, one route, returned after a kill, memory
    ((700, 100), (0.41, 0.41, 0.003, 0.105, 0.63, 104)),
    ((700, 300), (1.29, 1.35, 0.007, 0.282, 0.98, 119)),
    ((700, 1_100), (3.7, 3.1, 0.030, 0.394, 1.9, 153)),
    ((700, 5_000), (20, 18, 0.205, 2.02, 8.7, 278)),
    ((2_000, 100), (1.5, 1.6, 0.005, 0.809, 1.9, 240)),
    ((10_000, 100), (8.9, 10.5, 0.004, 3.04, 11.4, 1_058)),
)


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    # Measured: 700 services, delta streams, 2 cores of which the load client takes its part.
    add("--cpu-start-ms", type=float, default=0.25, help="CPU of a start until /ready, for each service: 0.18 s / 700")
    add("--cpu-scope-ms", type=float, default=0.009, help="CPU of making a scope, for each service: (410 - 100 x 3.5) / 7,000")
    add("--cpu-cold-ms", type=float, default=3.5, help="of one cold stream: (17.8 s - 0.4 s) / 4,900")
    add("--cpu-return-ms", type=float, default=1.7, help="of one that comes back: (8.7 s - 0.2 s of start) / 5,000")
    add("--cpu-endpoint-fixed-ms", type=float, default=1, help="of one endpoint change, whoever listens")
    add("--cpu-endpoint-stream-ms", type=float, default=0.04, help="of it, for each stream: 0.027 at 1,100, 0.041 at 5,000")
    add("--cpu-route-fixed-ms", type=float, default=65, help="of one route change, whoever listens: the tables of 10 scopes")
    add("--cpu-route-stream-ms", type=float, default=0.4, help="of it, for each stream: (2,020 - 394) ms / 3,900")
    add("--cpu-idle-ms", type=float, default=0.017, help="of one idle stream in a second: pings")
    add("--cold-mb", type=float, default=4.72, help="sent to a cold stream")
    add("--return-mb", type=float, default=0.71, help="heard from one that comes back")
    add("--route-mb", type=float, default=1.11, help="sent to a stream for one route, without VHDS")
    add("--memory-base-mb", type=float, default=30, help="graymeshd without a mesh")
    add("--memory-service-mb", type=float, default=0.103, help="for each service, with all scopes: (1,058 - 43) MB / 9,900")
    add("--memory-stream-mb", type=float, default=0.036, help="for each stream: (278 - 104) MB / 4,900")
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
    made = it.cpu_scope_ms / 1000 * it.scopes * SERVICES * share / (it.cores * it.busy)  # by all cores at once
    cold = [serve(line, it.cpu_cold_ms / 1000 * share, it.cold_mb * share, it)
            for line in spread(in_region, replicas, rnd, it.backoff_s)]
    survivors = max(1, replicas - 1)
    lost = in_region // replicas  # those of one replica; with one only, all come back to the next one
    back = [serve(line, it.cpu_return_ms / 1000 * share, it.return_mb * share, it)
            for line in spread(lost, survivors, rnd, it.backoff_s)]
    streams = in_region / replicas
    # A sidecar hears of a change if it sees the service.
    endpoint = (it.cpu_endpoint_fixed_ms + it.cpu_endpoint_stream_ms * streams * share) / 1000
    route = (it.cpu_route_fixed_ms * share + it.cpu_route_stream_ms * streams * share) / 1000
    load = it.endpoint_rate * endpoint + it.cpu_idle_ms / 1000 * streams
    memory = (it.memory_base_mb + it.memory_service_mb * SERVICES
              + it.memory_stream_mb * streams * (share + 0.3 * (1 - share)))
    names = [
        f"{proxies:,} / {regions} / {replicas} / {share:.0%}",
        f"{streams:,.0f}",
        f"{made + max(last for last, _ in cold):.1f}",
        f"{max(last for last, _ in back):.1f}",
        f"{endpoint / (it.cores * it.busy) * 1000:.0f}",
        f"{max(route / (it.cores * it.busy), streams * share * it.route_mb * share * 8 / 1000 / it.nic_gbit) * 1000:.0f}",
        f"{load / it.cores:.0%}",
        f"{memory:.0f}",
        f"{in_region * share * it.route_mb * share:,.0f} / {it.scopes * it.route_mb:,.0f}",
    ]
    return names


def modelled(services, streams, it):
    """What MEASURED has, by the costs: on 2 cores, of which the load client takes somewhat more than half."""
    size = services / SERVICES
    made = it.cpu_scope_ms / 1000 * it.scopes * services
    cold = made + it.cpu_cold_ms / 1000 * size * streams
    measured = argparse.Namespace(**{**vars(it), "cores": 2, "busy": 0.45, "nic_gbit": 20})
    last, _ = serve([made / 0.9] * streams, it.cpu_cold_ms / 1000 * size, it.cold_mb * size, measured)
    return (last, cold, (it.cpu_endpoint_fixed_ms + it.cpu_endpoint_stream_ms * streams) / 1000,
            (it.cpu_route_fixed_ms + it.cpu_route_stream_ms * streams) * size / 1000,
            it.cpu_start_ms / 1000 * services + made + it.cpu_return_ms / 1000 * size * streams,
            it.memory_base_mb + it.memory_service_mb * services + it.memory_stream_mb * streams)


def figure(value):
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def check(it):
    heads = ("all cold, s", "CPU for it, s", "one endpoint, CPU, ms", "one route, CPU, ms", "all returned, CPU, s", "memory, MB")
    print("| services / streams: by the model, measured | " + " | ".join(heads) + " |\n|" + " --- |" * (1 + len(heads)))
    for point, figures in MEASURED:
        cells = []
        for head, says, was in zip(heads, modelled(*point, it), figures):
            unit = 1000 if head.endswith("ms") else 1
            cells.append(f"{figure(says * unit)}, {figure(was * unit)}")
        print(f"| {point[0]:,} / {point[1]:,} | " + " | ".join(cells) + " |")


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
    print()
    check(it)


if __name__ == "__main__":
    main()
