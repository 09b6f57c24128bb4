#!/usr/bin/env python3
"""Plays Envoy's admin for run_test.cc: live and configured at once, one client connected.

Takes the same command line as Envoy. Writes each request line it is asked, and "SIGTERM", to the
file named by $FAKE_ENVOY_LOG; with $FAKE_ENVOY_STUBBORN it does not quit when asked to.
"""

import http.server
import json
import os
import signal
import sys

LOG = open(os.environ["FAKE_ENVOY_LOG"], "a", buffering=1)
ANSWERS = {
    "/ready": "LIVE\n",
    "/stats?filter=_manager..ds.update_success":
        "cluster_manager.cds.update_success: 1\nlistener_manager.lds.update_success: 1\n",
    "/stats?filter=downstream_cx_active": "listener.127.0.0.1_8080.downstream_cx_active: 1\n",
    "/drain_listeners?graceful": "OK\n",
}


class Admin(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        LOG.write(self.requestline + "\n")
        body = ANSWERS.get(self.path)
        self.send_response(404 if body is None else 200)
        self.end_headers()
        self.wfile.write((body or "").encode())

    do_POST = do_GET

    def log_message(self, *_):
        pass


def quit_now(*_):
    LOG.write("SIGTERM\n")
    if not os.environ.get("FAKE_ENVOY_STUBBORN"):
        os._exit(0)


signal.signal(signal.SIGTERM, quit_now)
bootstrap = json.loads(sys.argv[sys.argv.index("--config-yaml") + 1])
address = bootstrap["admin"]["address"]["socket_address"]
http.server.ThreadingHTTPServer((address["address"], address["port_value"]), Admin).serve_forever()
