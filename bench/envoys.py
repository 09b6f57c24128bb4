#!/usr/bin/env python3
"""Do simulated sidecars (ads_load) count what real Envoys count? What does a real one weigh? Does traffic notice?

Real Envoys of one worker, each in a network namespace of its own at its pod's address with iptables' ports, and as
many simulated sidecars, before one graymeshd with 700 services: cold, after changes, and after a kill of graymeshd with
a change meanwhile. What Envoy's statistics say (updates by type, bytes from the control plane) must be what the
simulated ones counted: updates exactly, bytes within 2 %.

    bench/envoys.py                          2 Envoys
    ENVOYS=20 bench/envoys.py                20
    ENVOYS=20 bench/envoys.py --traffic      and each calls eight services, all the while: no request may fail

With --traffic every sidecar also has an HTTP proxy port, which is a listener and a route table more, so its memory is
told and not held against the limit. Needs root: it makes network namespaces, and removes them.
"""

import argparse
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time

import measure
from measure import Graymeshd, Load, Mesh, quiet, wait_until

MEMORY_MAX_MB = 250
HUB = "10.250.0.1"  # graymeshd's address, beyond those of pods and of changes
FARM = "10.250.0.2"  # where all pods are that have no Envoy here, and the endpoints that changes bring
PODS = "10.128.0.0/9"
PROXY_PORT = 15007
CALLED = 8  # services, that endpoints and routes change of among them
KINDS = ("CDS", "EDS", "LDS", "RDS")
STATIC_CLUSTERS = 2  # of the bootstrap


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise measure.Trouble(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


class Space:
    """A network namespace with a cable to the hub; all that is elsewhere is behind the hub."""

    def __init__(self, label, address):
        self.name, link = f"graymesh-{os.getpid()}-{label}", f"v{label}"
        run("ip", "netns", "add", self.name)
        try:
            run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
            run("ip", "link", "set", link, "up", "master", "hub")
            run("ip", "route", "add", f"{address}/32", "dev", "hub")
            for words in (("addr", "add", f"{address}/32", "dev", "eth0"), ("link", "set", "eth0", "up"),
                          ("link", "set", "lo", "up"), ("route", "add", HUB, "dev", "eth0"),
                          ("route", "add", "default", "via", HUB)):
                self.ip(*words)
        except BaseException:
            self.close()
            raise

    def ip(self, *words):
        run("ip", "-n", self.name, *words)

    def spawn(self, log, *command):
        with open(log, "wb") as out:
            return subprocess.Popen(["ip", "netns", "exec", self.name, *command], stdout=out, stderr=out,
                                    preexec_fn=measure.die_with_parent)

    def enter(self):
        """This thread's sockets are of this namespace from now on."""
        with open(f"/var/run/netns/{self.name}", "rb") as file:
            if measure.LIBC.setns(file.fileno(), 0) != 0:
                raise measure.Trouble(f"{self.name}: cannot be entered")

    def close(self):
        subprocess.run(["ip", "netns", "del", self.name], check=False)


class Envoy:
    def __init__(self, number, node, xds, folder):
        self.space, self.child = Space(number, node["ip"]), None
        self.name = self.space.name
        try:
            labels = [f"--label={key}={value}" for key, value in node["labels"].items()]
            config = json.loads(run(
                measure.PROGRAMS / "graymesh", "bootstrap", "--address", node["ip"], "--name", node["name"], "-n", node["ns"],
                "--interception-mode", "REDIRECT", "--control-plane", xds, "--service-account", node["svc"], *labels))
            # Sidecars leave out how often each cluster's endpoints came; here they are counted.
            matcher = config["stats_config"]["stats_matcher"]["inclusion_list"]
            matcher["patterns"].append({"suffix": ".update_success"})
            file = folder / f"{self.name}.json"
            file.write_text(json.dumps(config))
            self.child = self.space.spawn(folder / f"{self.name}.log", measure.PROGRAMS / "envoy", "-c", file, "--concurrency",
                                          "1", "--disable-hot-restart", "-l", "warning")
        except BaseException:
            self.close()
            raise

    def admin(self, path):
        return run("ip", "netns", "exec", self.name, "curl", "-s", "-m", "5", f"http://127.0.0.1:15000{path}")

    def ready(self):
        try:
            return self.admin("/ready").strip() == "LIVE"
        except measure.Trouble:
            return False

    def counts(self):
        """Resources of clusters, endpoints and routes that came, responses of listeners, bytes from the control plane."""
        found = dict.fromkeys((*KINDS, "bytes", "rejected"), 0)
        found["CDS"] = -STATIC_CLUSTERS
        for line in self.admin("/stats?usedonly").splitlines():
            name, _, value = line.partition(": ")
            if not value.isdigit():
                continue
            found["rejected"] += int(value) * name.endswith("update_rejected")
            if name == "cluster.xds-grpc.upstream_cx_rx_bytes_total":
                found["bytes"] = int(value)
            elif name in ("cluster_manager.cluster_added", "cluster_manager.cluster_modified"):
                found["CDS"] += int(value)
            elif name == "listener_manager.lds.update_success":
                found["LDS"] = int(value)
            elif name.endswith(".update_success") and not name.startswith("cluster_manager."):
                found["RDS" if ".rds." in name else "EDS"] += int(value)
        return found

    def memory(self):
        return measure.Running(self.child.pid, "").memory("VmRSS")

    def close(self):
        if self.child:
            self.child.kill()
            self.child.wait()
        self.space.close()


class Farm:
    """Answers 200 at every address that a pod can have, but for those of `others`."""

    def __init__(self, folder, others):
        self.space, self.child = Space("farm", FARM), None
        try:
            self.space.ip("route", "add", "local", PODS, "dev", "lo")
            self.space.ip("route", "add", HUB, "dev", "eth0", "table", "local")
            for address in others:
                self.space.ip("route", "add", address, "via", HUB, "table", "local")
            run("ip", "route", "add", PODS, "via", FARM)
            manager = {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": "farm",
                "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                    {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "here"}}}]}]},
                "http_filters": [{"name": "router", "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}
            listener = {"name": "farm", "address": {"socket_address": {"address": "0.0.0.0", "port_value": 8080}},
                        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}
            file = folder / "farm.json"
            file.write_text(json.dumps({"static_resources": {"listeners": [listener]}}))
            self.child = self.space.spawn(folder / "farm.log", measure.PROGRAMS / "envoy", "-c", file, "--concurrency", "1",
                                          "--disable-hot-restart", "-l", "warning")
        except BaseException:
            self.close()
            raise

    @staticmethod
    def answers():
        try:
            socket.create_connection((FARM, 8080), 1).close()
            return True
        except OSError:
            return False

    def close(self):
        if self.child:
            self.child.kill()
            self.child.wait()
        self.space.close()


class Caller:
    """Requests through one Envoy's HTTP proxy port, one after the other, to each of `hosts` by turns."""

    def __init__(self, envoy, hosts):
        self.envoy, self.hosts = envoy, hosts
        self.asked, self.failures, self.slowest = 0, [], 0.0
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        self.envoy.space.enter()
        connection = http.client.HTTPConnection("127.0.0.1", PROXY_PORT, timeout=10)
        chance = random.Random(self.envoy.name)
        while not self.ending.wait(chance.uniform(0.02, 0.08)):
            host, begun = self.hosts[self.asked % len(self.hosts)], time.monotonic()
            self.asked += 1
            try:
                connection.request("GET", f"http://{host}/", headers={"Host": host})
                answer = connection.getresponse()
                said = f"{answer.status} {answer.read()[:80]!r}" if answer.status != 200 else answer.read() and ""
            except (OSError, http.client.HTTPException) as error:
                said = repr(error)
                connection.close()
            self.slowest = max(self.slowest, time.monotonic() - begun)
            if said:
                self.failures.append(f"{host}: {said}")

    def stop(self):
        self.ending.set()
        self.thread.join(15)


def called(mesh, own):
    """Services whose endpoints change, whose routes change, and two that are left alone; none with a pod that is an Envoy."""
    def hosts(files, prefix):
        for file in files:
            name = "-".join(file.removeprefix(prefix).split("-")[:2]).removesuffix(".yaml")
            if name not in own:
                yield f"{name}.ns-{int(name[-4:]) % 10:02}.svc.cluster.local:8080"
    few = (CALLED - 2) // 2
    found = list(hosts((change["file"] for change in mesh.changes["endpoint"]), "eps-"))[:few]
    found += [host for host in hosts((change["file"] for change in mesh.changes["route"]), "vs-") if host not in found][:few]
    others = hosts((f"vs-svc-{number:04}.yaml" for number in range(300, 700)), "vs-")
    return found + [host for host in others if host not in found][:2]


def told(callers, seconds):
    """Ends the calls. Trouble, if any failed."""
    for caller in callers:
        caller.stop()
    failures = [failure for caller in callers for failure in caller.failures]
    print(f"requests: {sum(it.asked for it in callers):,} in {seconds:.0f} s through {len(callers)} Envoys, the fewest "
          f"{min(it.asked for it in callers)}, the slowest {max(it.slowest for it in callers) * 1000:.0f} ms, "
          f"failed {len(failures)}", flush=True)
    if failures:
        raise measure.Trouble(f"{len(failures)} requests failed: {failures[:5]}")


def simulated(load):
    """The same of one simulated sidecar, on average."""
    counts = load.counts()
    types = {name: {key: of[key] / load.streams for key in of} for name, of in counts["types"].items()}
    return {"CDS": types["CDS"]["resources"], "EDS": types["EDS"]["resources"], "LDS": types["LDS"]["messages"],
            "RDS": types["RDS"]["resources"], "bytes": counts["wire_bytes"] / load.streams}


def differ(counts, of_load):
    """Names of the counts of an Envoy that are not those of the simulated ones."""
    wrong = [kind for kind in KINDS if counts[kind] != of_load[kind]]
    if abs(counts["bytes"] - of_load["bytes"]) > 0.02 * of_load["bytes"]:
        wrong.append("bytes")
    return wrong + ["rejected"] * (counts["rejected"] > 0)


def compare(stage, envoys, load, seconds=60):
    """An Envoy may be late; what it counts in the end must be what the simulated ones count."""
    quiet(load)
    of_load, end = simulated(load), time.monotonic() + seconds
    print(f"{stage:<44}" + "".join(f"{kind:>12}" for kind in of_load))
    print(f"  {'simulated':<42}" + "".join(f"{value:>12.0f}" for value in of_load.values()))
    for envoy in envoys:
        while differ(counts := envoy.counts(), of_load) and time.monotonic() < end:
            time.sleep(0.3)
        print(f"  {envoy.name:<42}" + "".join(f"{counts[kind]:>12}" for kind in of_load), flush=True)
        if wrong := differ(counts, of_load):
            raise measure.Trouble(f"{stage}: {envoy.name} and the simulated ones differ in {wrong}; rejected {counts['rejected']}")


def may_make_networks():
    return subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode == 0


def lay_hub():
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "hub", "type", "bridge")
    run("ip", "addr", "add", f"{HUB}/32", "dev", "hub")
    run("ip", "link", "set", "hub", "up")
    with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as file:
        file.write("1")


def changes_and_a_kill(server, mesh, envoys, load):
    """The graymeshd that lives in the end."""
    load.follow(mesh, "endpoint", measure.churn(5, 8))
    for _ in range(3):  # one by one: who is late is sent only the last of several
        load.follow(mesh, "route", lambda change: change())
        wait_until(lambda: all(it.counts()["RDS"] == simulated(load)["RDS"] for it in envoys), 60, "every Envoy has the route")
    compare("40 endpoints and 3 routes later", envoys, load)
    server.kill()
    restarted = []

    def change_while_dead(change):
        change()
        restarted.append(server.again(mesh))
    load.follow(mesh, "endpoint", change_while_dead)
    time.sleep(3)  # long enough for what comes too often to be seen
    compare("killed, a change meanwhile, back", envoys, load)
    return restarted[0]


def weigh(envoys, limit):
    memory = [envoy.memory() for envoy in envoys]
    print("memory of an Envoy, MB:", ", ".join(f"{each:.0f}" for each in memory))
    if limit and max(memory) > limit:
        raise measure.Trouble(f"an Envoy has {max(memory):.0f} MB, at most {limit} are to be had with 700 services")


def alike(mesh):
    """Sidecars of services with one port, so all have as many clusters of their own; none in a lane, as what it calls
    would be asked for in that lane, and most services here have no instance there."""
    for line in mesh.nodes.read_text().splitlines():
        node = json.loads(line)
        if node["labels"]["stage"] == "prod" and (mesh.config / f"svc-{node['svc']}.yaml").read_text().count("targetPort") == 1:
            yield node


def go(count, traffic):
    lay_hub()
    mesh = Mesh()
    nodes = list(alike(mesh))
    mesh.nodes.write_text("".join(json.dumps(node) + "\n" for node in nodes[count:2 * count]))
    mesh_config = mesh.folder / "mesh-config.yaml"
    mesh_config.write_text(f"proxyHttpPort: {PROXY_PORT}\n" if traffic else "{}\n")
    parts, callers = [], []
    server = load = None
    try:
        server = Graymeshd(mesh, xds=f"{HUB}:15010", options=("--mesh-config", mesh_config))
        load = Load(f"{HUB}:15010", mesh, count)
        envoys = []
        for number, node in enumerate(nodes[:count]):
            envoys.append(Envoy(number, node, f"{HUB}:15010", mesh.folder))
            parts.append(envoys[-1])
        load.synced(120)
        for envoy in envoys:
            wait_until(envoy.ready, 240, f"{envoy.name} is ready", 0.2)
        compare("cold", envoys, load)
        if traffic:
            parts.append(Farm(mesh.folder, [node["ip"] for node in nodes[:count]]))
            hosts = called(mesh, {node["svc"] for node in nodes[:count]})
            wait_until(parts[-1].answers, 20, "the farm answers")
            begun = time.monotonic()
            callers = [Caller(envoy, hosts) for envoy in envoys]
        server = changes_and_a_kill(server, mesh, envoys, load)
        if traffic:
            told(callers, time.monotonic() - begun)
        weigh(envoys, 0 if traffic else MEMORY_MAX_MB)
    finally:
        for caller in callers:
            caller.stop()
        if load:
            load.close()
        for part in parts:
            part.close()
        if server:
            server.kill()
        mesh.close()


def main():
    if not may_make_networks():
        print("envoys.py: skipped, this user may not make network namespaces")
        sys.exit(77)
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--traffic", action="store_true", help="requests through each Envoy all the while; none may fail")
    options = options.parse_args()
    if "GRAYMESH_IN_HUB" not in os.environ:  # a network of our own, with nothing else in it
        os.execvpe("unshare", ["unshare", "-n", sys.executable, *sys.argv], {**os.environ, "GRAYMESH_IN_HUB": "1"})
    go(int(os.environ.get("ENVOYS", "2")), options.traffic)


if __name__ == "__main__":
    try:
        main()
    except measure.Trouble as trouble:
        sys.exit(f"envoys.py: {trouble}")
