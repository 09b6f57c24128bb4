#!/usr/bin/env python3
"""Do simulated sidecars (ads_load) count what real Envoys count? And what does a real one weigh?

Real Envoys of one worker, each in a network namespace of its own at its pod's address with iptables' ports, and as
many simulated sidecars, before one graymeshd with 700 services: cold, after changes, and after a kill of graymeshd with
a change meanwhile. What Envoy's statistics say (updates by type, bytes from the control plane) must be what the
simulated ones counted: updates exactly, bytes within 2 %.

    bench/envoys.py                 2 Envoys
    ENVOYS=20 bench/envoys.py       20
Needs root: it makes network namespaces, and removes them.
"""

import json
import os
import subprocess
import sys
import time

import measure
from measure import Graymeshd, Load, Mesh, quiet, wait_until

MEMORY_MAX_MB = 250
HUB = "10.250.0.1"  # graymeshd's address, beyond those of pods and of changes


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise measure.Trouble(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


class Envoy:
    def __init__(self, number, node, xds, folder):
        self.name = f"graymesh-{os.getpid()}-{number}"
        link = f"v{number}"
        run("ip", "netns", "add", self.name)
        self.child = None
        try:
            run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
            run("ip", "link", "set", link, "up", "master", "hub")
            for words in (("addr", "add", f"{node['ip']}/8", "dev", "eth0"), ("link", "set", "eth0", "up"),
                          ("link", "set", "lo", "up")):
                run("ip", "-n", self.name, *words)
            labels = [f"--label={key}={value}" for key, value in node["labels"].items()]
            config = folder / f"{self.name}.json"
            config.write_text(run(
                measure.PROGRAMS / "graymesh", "bootstrap", "--address", node["ip"], "--name", node["name"], "-n", node["ns"],
                "--interception-mode", "REDIRECT", "--control-plane", xds, "--service-account", node["svc"], *labels))
            with open(folder / f"{self.name}.log", "wb") as log:
                self.child = subprocess.Popen(
                    ["ip", "netns", "exec", self.name, measure.PROGRAMS / "envoy", "-c", config, "--concurrency", "1",
                     "--disable-hot-restart", "-l", "warning"], stdout=log, stderr=log, preexec_fn=measure.die_with_parent)
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
        """Updates by type, and bytes from the control plane."""
        found = {"CDS": 0, "EDS": 0, "LDS": 0, "RDS": 0, "bytes": 0, "rejected": 0}
        for line in self.admin("/stats?usedonly").splitlines():
            name, _, value = line.partition(": ")
            if not value.isdigit():
                continue
            found["rejected"] += int(value) * name.endswith("update_rejected")
            if name == "cluster.xds-grpc.upstream_cx_rx_bytes_total":
                found["bytes"] = int(value)
            elif name.endswith(".update_success"):
                kind = {"cluster_manager.cds": "CDS", "listener_manager.lds": "LDS"}.get(name.removesuffix(".update_success"))
                if kind is None:
                    kind = "RDS" if ".rds." in name else "EDS" if name.startswith("cluster.") else None
                if kind:
                    found[kind] += int(value)
        return found

    def memory(self):
        return measure.Running(self.child.pid, "").memory("VmRSS")

    def close(self):
        if self.child:
            self.child.kill()
            self.child.wait()
        subprocess.run(["ip", "netns", "del", self.name], check=False)


def simulated(load):
    """The same of one simulated sidecar, on average."""
    counts = load.counts()
    types = {name: {key: of[key] / load.streams for key in of} for name, of in counts["types"].items()}
    return {"CDS": types["CDS"]["messages"], "EDS": types["EDS"]["resources"], "LDS": types["LDS"]["messages"],
            "RDS": types["RDS"]["resources"], "bytes": counts["wire_bytes"] / load.streams}


def compare(stage, envoys, load):
    quiet(load)
    of_load = simulated(load)
    print(f"{stage:<44}" + "".join(f"{kind:>12}" for kind in of_load))
    print(f"  {'simulated':<42}" + "".join(f"{value:>12.0f}" for value in of_load.values()))
    for envoy in envoys:
        counts = envoy.counts()
        print(f"  {envoy.name:<42}" + "".join(f"{counts[kind]:>12}" for kind in of_load), flush=True)
        # Clusters come in as many responses as the proxy is fast, and Envoy no longer keeps each
        # cluster's own update_success: their bytes are compared.
        wrong = [kind for kind in ("LDS", "RDS") if counts[kind] != of_load[kind]]
        if abs(counts["bytes"] - of_load["bytes"]) > 0.02 * of_load["bytes"]:
            wrong.append("bytes")
        if wrong or counts["rejected"]:
            raise measure.Trouble(f"{stage}: {envoy.name} and the simulated ones differ in {wrong}; rejected {counts['rejected']}")


def may_make_networks():
    return subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode == 0


def main():
    if not may_make_networks():
        print("envoys.py: skipped, this user may not make network namespaces")
        sys.exit(77)
    count = int(os.environ.get("ENVOYS", "2"))
    if "GRAYMESH_IN_HUB" not in os.environ:  # a network of our own, with nothing else in it
        os.execvpe("unshare", ["unshare", "-n", sys.executable, *sys.argv], {**os.environ, "GRAYMESH_IN_HUB": "1"})
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "hub", "type", "bridge")
    run("ip", "addr", "add", f"{HUB}/8", "dev", "hub")
    run("ip", "link", "set", "hub", "up")
    mesh = Mesh()
    nodes = [json.loads(line) for line in mesh.nodes.read_text().splitlines()]
    mesh.nodes.write_text("".join(json.dumps(node) + "\n" for node in nodes[count:2 * count]))
    server = load = None
    envoys = []
    try:
        server = Graymeshd(mesh, xds=f"{HUB}:15010")
        load = Load(f"{HUB}:15010", mesh, count)
        envoys = [Envoy(number, node, f"{HUB}:15010", mesh.folder) for number, node in enumerate(nodes[:count])]
        load.synced(60)
        for envoy in envoys:
            wait_until(envoy.ready, 120, f"{envoy.name} is ready", 0.2)
        compare("cold", envoys, load)
        load.follow(mesh, "endpoint", measure.churn(5, 3))
        load.follow(mesh, "route", measure.churn(1, 3))
        time.sleep(1)
        compare("15 endpoints and 3 routes later", envoys, load)
        server.kill()
        restarted = []

        def change_while_dead(change):
            change()
            restarted.append(server.again(mesh))
        load.follow(mesh, "endpoint", change_while_dead)
        server = restarted[0]
        time.sleep(3)
        compare("killed, a change meanwhile, back", envoys, load)
        memory = [envoy.memory() for envoy in envoys]
        print("memory of an Envoy, MB:", ", ".join(f"{each:.0f}" for each in memory))
        if max(memory) > MEMORY_MAX_MB:
            raise measure.Trouble(f"an Envoy has {max(memory):.0f} MB, at most {MEMORY_MAX_MB} are to be had with 700 services")
    finally:
        if load:
            load.close()
        for envoy in envoys:
            envoy.close()
        if server:
            server.kill()
        mesh.close()


if __name__ == "__main__":
    try:
        main()
    except measure.Trouble as trouble:
        sys.exit(f"envoys.py: {trouble}")
