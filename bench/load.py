#!/usr/bin/env python3
"""graymeshd before very many sidecars: how long until all are synced, what it costs, how soon a change is everywhere.

A mesh is generated (tools/gen_mesh.py), graymeshd reads it, ads_load opens a stream for each sidecar. Both share
this machine's cores. Then: one endpoint changes, one route, endpoints at 5 and at 50 a second, graymeshd is
killed (SIGKILL), something changes while it is dead, and it comes back; and once more with another MeshConfig, so
that all clusters are others than those which the proxies hold.

    bench/load.py                                      700 services, 1,100 sidecars, delta and state of the world
    bench/load.py --services 700 --streams 300         a point of the curve
    bench/load.py --curve --json curve.json            all points of it
    bench/load.py --protocol delta --record            what the record of proxies adds (docs/performance.md)
    bench/load.py --vhds                               delta alone, virtual hosts one by one

istiod before the same client: bench/istiod.py. Another control plane, started by hand on a folder of
tools/gen_mesh.py --format k8s:

    bench/load.py --mesh DIR --server 127.0.0.1:15010 --pid 4711 --streams 100 --protocol delta --ping 0

Times are seconds or ms as named; CPU is the process's own, all threads. That of changes is without what the streams'
pings cost in that time, which is measured before.
"""

import argparse
import json
import sys
import time

import measure
from measure import Graymeshd, Load, Mesh, Running, churn, quiet

SERVICES = (100, 300, 700, 2000, 10000)  # at 100 streams, then
STREAMS = (100, 300, 1100, 5000)         # at 700 services


def pods_for(services, streams):
    """As many sidecars as there are instances; 1,100 at 700 services, as in the meshes of our users."""
    return max(streams, services * 11 // 7)


def cold(server, load, limit):
    """From the first connect to all synced."""
    begun = server.cpu()
    figures = load.synced(limit)
    used = server.cpu() - begun
    quiet(load)
    counts = load.counts()
    streams = figures["streams"]
    return {
        "synced_p50_s": figures["p50"], "synced_last_s": figures["last"], "cpu_s": used,
        "cpu_quiet_s": server.cpu() - begun, "client_cpu_s": counts["own_cpu"], "peak_mb": server.memory(),
        "rejected": sum(counts["ended"].values()), "ended": counts["ended"],
        "bytes_per_stream": sum(of["bytes"] for of in counts["types"].values()) / streams,
        "types": {name: {key: of[key] / streams for key in ("messages", "resources", "bytes", "acks")}
                  for name, of in counts["types"].items()},
        "late": sum(of["late"] for of in counts["types"].values()), "held": counts["held"]}


def idle(server, seconds):
    """CPU a second while nothing happens: pings."""
    begun = server.cpu()
    time.sleep(seconds)
    return (server.cpu() - begun) / seconds


def changes(server, load, mesh, kind, make, idle_cpu, limit):
    load.say("reset")
    begun, since = server.cpu(), time.monotonic()
    figures = load.follow(mesh, kind, make, limit)
    used = server.cpu() - begun - idle_cpu * (time.monotonic() - since)
    quiet(load)
    counts = load.counts()
    sent = sum(of["bytes"] for of in counts["types"].values())
    made = figures.pop("changes")
    if figures["missing"]:
        raise measure.Trouble(f"{figures['missing']} of {made} {kind} changes at {load.streams} streams never came")
    return {**figures, "changes": made, "cpu_s": used / made, "bytes_per_stream": sent / load.streams / made,
            "messages_per_stream": sum(of["messages"] for of in counts["types"].values()) / load.streams / made}


def one_by_one(times, pause=3.0):
    def make(change):
        for _ in range(times):
            change()
            time.sleep(pause)
    return make


def crash(server, load, mesh, limit):
    """SIGKILL; a change while it is dead; until every stream has that change from the next graymeshd."""
    load.say("reset")
    server.kill()
    time.sleep(0.5)  # it is gone for a while: every stream has noticed, and knocks in vain
    begun = time.monotonic()
    restarted = []

    def make(change):
        change()
        restarted.append(server.again(mesh))
    figures = load.follow(mesh, "endpoint", make, limit)
    after = restarted[0]
    current = time.monotonic() - begun
    if figures["missing"]:
        raise measure.Trouble(f"{figures['missing']} streams not current {limit} s after a restart: {load.counts()}")
    used = after.cpu()
    quiet(load)
    counts = load.counts()
    types = counts["types"].values()
    figures = {"current_s": current, "ready_s": after.ready_seconds, "cpu_s": used, "peak_mb": after.memory(),
               "resent": sum(of["resent"] for of in types), "emptied": sum(of["emptied"] for of in types),
               "bytes_per_stream": sum(of["bytes"] for of in types) / load.streams,
               "resources_per_stream": sum(of["resources"] for of in types) / load.streams, "ended": counts["ended"]}
    return after, figures


def remade(server, load, mesh, limit):
    """SIGKILL; a MeshConfig that says of every cluster what no DestinationRule says; until each stream has them all."""
    clusters = 0.99 * load.streams * load.counts()["held"]["CDS"]["least"]  # the black hole is the same
    load.say("reset")
    server.kill()
    time.sleep(0.5)
    mesh_config = mesh.folder / "mesh-config.yaml"
    given = mesh_config in server.options
    mesh_config.write_text((mesh_config.read_text() if given else "") + "tcpKeepalive: {time: 7s}\n")
    if not given:
        server.options = (*server.options, server.mesh_config_option, mesh_config)
    begun = time.monotonic()
    after = server.again(mesh)
    measure.wait_until(lambda: load.counts()["types"]["CDS"]["resources"] >= clusters, limit, "clusters are sent", 0.05)
    current, used = time.monotonic() - begun, after.cpu()
    quiet(load)
    types = load.counts()["types"].values()
    return after, {"current_s": current, "cpu_s": used, "peak_mb": after.memory(),
                   "bytes_per_stream": sum(of["bytes"] for of in types) / load.streams,
                   "emptied": sum(of["emptied"] for of in types)}


def graymeshd(mesh, options):
    more = ["--record", mesh.folder / "record"] if options.record else []
    if options.vhds:
        switch = mesh.folder / "mesh-config.yaml"
        switch.write_text('defaultConfig: {proxyMetadata: {GRAYMESH_VHDS: "on"}}\n')
        more += ["--mesh-config", switch]
    return Graymeshd(mesh, options=more)


def measure_one(services, streams, sotw, options, start=graymeshd):
    """All figures of one control plane, which `start` starts, on a mesh of its own."""
    limit = options.patience
    quick = options.quick or options.curve
    mesh = Mesh(services, pods_for(services, streams), folder=options.mesh)
    server = load = None
    try:
        server = Running(options.pid, options.server) if options.pid else start(mesh, options)
        figures = {"services": mesh.summary["services"], "streams": streams, "protocol": "sotw" if sotw else "delta",
                   "instances": mesh.summary["pods"], "empty_mb": server.memory()}
        if options.vhds:
            figures["protocol"] = "delta vhds"
        load = Load(server.xds, mesh, streams, sotw=sotw, options=["--threads", "2", "--ping", str(options.ping)])
        figures["cold"] = cold(server, load, limit)
        figures["synced_mb"] = server.memory("VmRSS")
        figures["idle_cpu"] = idle(server, 3 if quick else 10)
        for name, kind, make in (("endpoint", "endpoint", one_by_one(1 if quick else 10, pause=0.5)),
                                 ("route", "route", one_by_one(1 if quick else 3)),
                                 *(() if quick else (("churn5", "endpoint", churn(5, 10)),
                                                     ("churn50", "endpoint", churn(50, 10))))):
            figures[name] = changes(server, load, mesh, kind, make, figures["idle_cpu"], limit)
        figures["peak_mb"] = server.memory()
        if options.record and not options.pid:
            figures["record_mb"] = sum(file.stat().st_size for file in (mesh.folder / "record").iterdir()) / 1e6
        if not options.pid:
            server, figures["crash"] = crash(server, load, mesh, limit)
            server, figures["remade"] = remade(server, load, mesh, limit)
        return figures
    finally:
        if load:
            load.close()
        if server and not options.pid:
            server.kill()
        mesh.close()


ROWS = (  # heading, where, how it reads
    ("all synced from cold, s", "cold.synced_last_s", "{:.1f}"),
    ("  half of them, s", "cold.synced_p50_s", "{:.1f}"),
    ("  server CPU, s", "cold.cpu_s", "{:.2f}"),
    ("  load client's CPU, s", "cold.client_cpu_s", "{:.2f}"),
    ("  connections rejected or lost", "cold.rejected", "{}"),
    ("  MB sent to a stream", "cold.bytes_per_stream", "{:.2f}", 1e6),
    ("memory synced, MB", "synced_mb", "{:.0f}"),
    ("peak memory, MB", "peak_mb", "{:.0f}"),
    ("idle: server CPU a second, ms", "idle_cpu", "{:.0f}", 1e-3),
    ("one endpoint: p50, ms", "endpoint.p50", "{:.1f}"),
    ("  p99, ms", "endpoint.p99", "{:.1f}"),
    ("  last stream, ms", "endpoint.last", "{:.1f}"),
    ("  server CPU, ms", "endpoint.cpu_s", "{:.0f}", 1e-3),
    ("  bytes a stream", "endpoint.bytes_per_stream", "{:.0f}"),
    ("one route: p50, ms", "route.p50", "{:.0f}"),
    ("  p99, ms", "route.p99", "{:.0f}"),
    ("  last stream, ms", "route.last", "{:.0f}"),
    ("  server CPU, ms", "route.cpu_s", "{:.0f}", 1e-3),
    ("  bytes a stream", "route.bytes_per_stream", "{:.0f}"),
    ("endpoints at 5/s: p99, ms", "churn5.p99", "{:.0f}"),
    ("endpoints at 50/s: p99, ms", "churn50.p99", "{:.0f}"),
    ("  messages a stream and change", "churn50.messages_per_stream", "{:.2f}"),
    ("  server CPU a change, ms", "churn50.cpu_s", "{:.0f}", 1e-3),
    ("the record on disk, MB", "record_mb", "{:.2f}"),
    ("kill -9, restart: all current, s", "crash.current_s", "{:.2f}"),
    ("  server CPU, s", "crash.cpu_s", "{:.2f}"),
    ("  resources re-sent", "crash.resent", "{}"),
    ("  endpoints lost in a proxy", "crash.emptied", "{}"),
    ("  bytes a stream", "crash.bytes_per_stream", "{:.0f}"),
    ("the same, all clusters others: sent, s", "remade.current_s", "{:.1f}"),
    ("  server CPU, s", "remade.cpu_s", "{:.2f}"),
    ("  peak memory, MB", "remade.peak_mb", "{:.0f}"),
    ("  MB sent to a stream", "remade.bytes_per_stream", "{:.2f}", 1e6),
)


def look_up(figures, path):
    for part in path.split("."):
        figures = figures.get(part, {}) if isinstance(figures, dict) else {}
    return None if figures == {} else figures


def table(columns):
    heads = [f"{it['services']}/{it['streams']} {it['protocol']}" for it in columns]
    lines = ["{:<40}".format("services/streams protocol") + "".join(f"{head:>20}" for head in heads)]
    for name, path, form, *unit in ROWS:
        cells = []
        for figures in columns:
            value = look_up(figures, path)
            cells.append("-" if value is None else form.format(value / unit[0] if unit else value))
        lines.append(f"{name:<40}" + "".join(f"{cell:>20}" for cell in cells))
    return "\n".join(lines)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--services", type=int, default=700)
    options.add_argument("--streams", type=int, default=1100)
    options.add_argument("--protocol", choices=("delta", "sotw", "both"), default="both")
    options.add_argument("--quick", action="store_true", help="one change of each kind, no churn")
    options.add_argument("--curve", action="store_true", help="delta at 100 to 10,000 services and 100 to 5,000 streams")
    options.add_argument("--record", action="store_true", help="graymeshd keeps the record of proxies")
    options.add_argument("--vhds", action="store_true", help="virtual hosts come one by one: delta alone")
    options.add_argument("--mesh", help="a folder that gen_mesh.py wrote, instead of a new one")
    options.add_argument("--server", help="xDS of a control plane that runs already; with --pid")
    options.add_argument("--pid", type=int, help="its process; it is not killed")
    options.add_argument("--ping", type=float, default=1, help="each stream's HTTP/2 ping, in seconds; 0: none")
    options.add_argument("--patience", type=float, default=600, help="until something is everywhere, in seconds")
    options.add_argument("--json", help="figures go to this file")
    options = options.parse_args()
    if options.curve:
        points = [(services, 100, False) for services in SERVICES] + [(700, streams, False) for streams in STREAMS[1:]]
    else:
        kinds = {"delta": (False,), "sotw": (True,), "both": (False, True)}["delta" if options.vhds else options.protocol]
        points = [(options.services, options.streams, sotw) for sotw in kinds]
    columns = []
    for services, streams, sotw in points:
        columns.append(measure_one(services, streams, sotw, options))
        print(table(columns[-1:]), flush=True)
        if options.json:
            with open(options.json, "w", encoding="utf-8") as out:
                json.dump(columns, out, indent=1)
    if len(columns) > 1:
        print(table(columns))


if __name__ == "__main__":
    try:
        main()
    except measure.Trouble as trouble:
        sys.exit(f"load.py: {trouble}")
