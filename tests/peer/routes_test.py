#!/usr/bin/env python3
"""A real Envoy's word on routes: every route configuration that a test of control/translate asks for
is taken by `envoy --mode validate`.

The tests leave them in a folder ($GRAYMESH_RECORD_ROUTES). All go into one bootstrap, a listener
each; if Envoy refuses it, each is tried alone, so that the failure names the test and Envoy's reason.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = pathlib.Path(os.environ.get("GRAYMESH_BIN") or ROOT / "build/bin")
ENVOY = PROGRAMS / "envoy"
EXTENSION = "type.googleapis.com/envoy.extensions.filters."
FILTERS = [("fault", "HTTPFault"), ("cors", "Cors"), ("router", "Router")]
EXPECTED_AT_LEAST = 100  # fewer would mean that the recording broke


def listener(number, routes):
    return {
        "name": f"l{number}",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 1024 + number}},
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": EXTENSION + "network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": "test",
                "route_config": routes,
                "http_filters": [{"name": f"envoy.filters.http.{name}",
                                  "typed_config": {"@type": f"{EXTENSION}http.{name}.v3.{message}"}}
                                 for name, message in FILTERS]}}]}]}


def refusal(folder, tables):
    """What Envoy has against these route configurations; empty if nothing."""
    bootstrap = folder / "bootstrap.json"
    bootstrap.write_text(json.dumps({
        # As sidecars set it: a regular expression may be long (Envoy's own limit is 100).
        "layered_runtime": {"layers": [{"name": "static", "static_layer": {
            "re2.max_program_size.error_level": 32768}}]},
        "static_resources": {"listeners": [listener(i, table) for i, table in enumerate(tables)]}}))
    ran = subprocess.run([ENVOY, "--mode", "validate", "--log-level", "warning", "--disable-hot-restart",
                          "--concurrency", "1", "-c", bootstrap],
                         capture_output=True, text=True, timeout=60, check=False)
    return "" if ran.returncode == 0 else (ran.stdout + ran.stderr).strip()


def main():
    if not ENVOY.exists():
        print(f"skipped: no Envoy at {ENVOY}")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([PROGRAMS / "control_translate_test", "--gtest_filter=Route*:Gateway*", "--gtest_brief=1"],
                       env={**os.environ, "GRAYMESH_RECORD_ROUTES": name}, timeout=60, check=True)
        recorded = {file.stem: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}
        if len(recorded) < EXPECTED_AT_LEAST:
            sys.exit(f"only {len(recorded)} route configurations were recorded")
        refused = {}
        if refusal(folder, list(recorded.values())):
            refused = {test: said for test, table in recorded.items() if (said := refusal(folder, [table]))}
        for test, said in refused.items():
            print(f"--- {test}\n{said}")
        print(f"Envoy took {len(recorded) - len(refused)} of {len(recorded)} route configurations")
        sys.exit(1 if refused else 0)


if __name__ == "__main__":
    main()
