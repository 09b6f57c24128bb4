#!/usr/bin/env python3
"""A small site for the browser tests, as careless as real ones: its redirects are absolute, some to
addresses of the mesh; it sets cookies of its own; and it logs in at another site, which sends the
browser back by a redirect or by a form that posts.

    site.py NAME VERSION ADDRESS PORT     every page says `NAME VERSION` and what the request had
"""

import html
import http.server
import sys
import urllib.parse

NAME, VERSION, ADDRESS, PORT = sys.argv[1:]


class Site(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body="", headers=()):
        data = body.encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def page(self, more=""):
        told = html.escape(f"path={self.path} cookies={self.headers.get('cookie', '')}")
        self.answer(200, f"<!doctype html><title>{NAME}</title><h1>{NAME} {VERSION}</h1><p>{told}</p>{more}",
                    [("Cache-Control", "max-age=600")])

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        to = {  # where an application thinks that it is
            "/by-address": f"http://{ADDRESS}:{PORT}/page",
            "/by-port": f"http://{self.headers['host'].split(':')[0]}:{PORT}/page",
            "/by-name": f"http://{NAME}:{PORT}/page?a=1#end",
            "/by-full-name": f"http://{NAME}.default.svc.cluster.local:{PORT}/page",
            "/relative": "/page",
            "/elsewhere": "http://elsewhere.invalid/page",
            "/go": query.get("to", "/"),
        }.get(url.path)
        if url.path == "/session":
            return self.answer(302, headers=[("Location", "/page"), ("Set-Cookie", f"sid={VERSION}; Path=/; HttpOnly")])
        if url.path == "/in":  # the login: back with a code, by a redirect
            return self.answer(302, headers=[("Location", query["return"] + "?code=1"),
                                             ("Set-Cookie", "login=yes; Path=/")])
        if url.path == "/in-by-post":  # the login: back by a form, as SAML does
            back = html.escape(query["return"])
            return self.page(f"<form id=back method=post action='{back}'><input name=code value=1></form>"
                             "<script>document.getElementById('back').submit()</script>")
        if to:
            return self.answer(302, headers=[("Location", to)])
        return self.page()

    do_HEAD = do_GET

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.page(f"<p>posted to {html.escape(self.path)}</p>")

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer((ADDRESS, int(PORT)), Site).serve_forever()
