#!/usr/bin/env python3
"""What a scrape of one sidecar costs in a mesh of 700 services and 3,360 clusters: bytes, series and
time of :15090/stats/prometheus, and the Envoy's memory, after calls of so many services. Beside it
what graymeshd asks for (/stats/figures), with the Envoy's CPU for one of them.

    bench/stats_scrape.py [CALLED ...]      default 0 20 100 690; --all-stats: nothing is left out
"""

import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = pathlib.Path(os.environ.get("GRAYMESH_BIN") or ROOT / "build/bin")
ADDRESS = "127.60.9.9"  # of the sidecar
PORT = 18080  # of every instance


class Answer(http.server.BaseHTTPRequestHandler):
    """Every instance there is: 127.128.0.0/16 leads here."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def get(url, headers=None, timeout=20):
    request = urllib.request.Request(url, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        return error.read()


def mesh(folder):
    subprocess.run([ROOT / "tools/gen_mesh.py", "--out", folder, "--services", "700", "--pods", "1100",
                    "--format", "k8s"], check=True, stdout=subprocess.DEVNULL)
    for file in (folder / "config").glob("*.yaml"):
        text = file.read_text()
        if "10.128." in text:
            text = text.replace("10.128.", "127.128.")
            if "EndpointSlice" in text:  # the sidecar itself takes 8080 of its own address
                text = text.replace("port: 8080,", f"port: {PORT},")
            file.write_text(text)
    (folder / "mesh.yaml").write_text("proxyHttpPort: 15001\n")


def envoy_of(sidecar):
    return int(pathlib.Path(f"/proc/{sidecar}/task/{sidecar}/children").read_text().split()[0])


def memory_mb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1)) // 1024


def wait(holds, what, seconds=120):
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {seconds} s: {what}")
        time.sleep(0.1)


def is_ready():
    try:
        return urllib.request.urlopen(f"http://{ADDRESS}:15021/healthz/ready", timeout=2).status == 200
    except OSError:
        return False


def cpu_ms(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def measure(called, pid):
    for page in ("prometheus", "figures"):
        taken, before = [], cpu_ms(pid)
        for _ in range(39):
            begun = time.perf_counter()
            text = get(f"http://{ADDRESS}:15090/stats/{page}")
            taken.append((time.perf_counter() - begun) * 1000)
        spent = (cpu_ms(pid) - before) / len(taken)
        text_series = sum(1 for line in text.splitlines() if line and not line.startswith(b"#"))
        series = text_series if page == "prometheus" else text.count(b'"name":')
        taken.sort()
        print(f"{called:>8} {page:>10} {len(text):>10,} {series:>8,} {taken[len(taken) // 2]:>10.1f} {taken[-1]:>8.1f} "
              f"{spent:>7.1f} {memory_mb(pid):>8}", flush=True)


def main():
    arguments = sys.argv[1:]
    everything = ["--all-stats"] if "--all-stats" in arguments else []
    counts = [int(word) for word in arguments if word.isdigit()] or [0, 20, 100, 690]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="graymesh-scrape-"))
    server = http.server.ThreadingHTTPServer(("0.0.0.0", PORT), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    running = []
    try:
        mesh(folder)
        control = subprocess.Popen(
            [PROGRAMS / "graymeshd", "--config", folder / "config", "--mesh-config", folder / "mesh.yaml",
             "--xds", "127.0.0.1:0", "--api", "127.0.0.1:0", "--print-addresses"], stdout=subprocess.PIPE)
        running.append(control)
        xds = json.loads(control.stdout.readline())["xds"]
        sidecar = subprocess.Popen(
            [PROGRAMS / "graymesh", "sidecar", "run", "--address", ADDRESS, "--name", "probe-0", "--namespace",
             "ns-00", "--label", "app=probe", "--control-plane", xds, "--concurrency", "1", *everything],
            stderr=subprocess.DEVNULL)
        running.insert(0, sidecar)
        wait(is_ready, "the sidecar is ready")
        pid, done = envoy_of(sidecar.pid), 0
        print(f"{'called':>8} {'page':>10} {'bytes':>10} {'series':>8} {'ms median':>10} {'ms most':>8} {'CPU ms':>7} "
              f"{'RSS MB':>8}")
        for count in counts:
            for i in range(done, count):
                host = f"svc-{i:04d}.ns-{i % 10:02d}.svc.cluster.local:8080"
                get(f"http://{ADDRESS}:15001/", {"Host": host})
            done = count
            time.sleep(6)  # histograms are merged every 5 s
            measure(count, pid)
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
        server.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
