"""Asking a mesh over HTTP: a Client whose requests fail as a user would see them, the Answer, and a
Stream of requests in a thread.
"""

import http.client
import json
import threading
import time


class Answer:
    """What came back: `status` (0: nothing did), `body`, `headers` in lower case, `json` or {}."""

    def __init__(self, status, body=b"", headers=None, error="", seconds=0.0):
        self.status = status
        self.body = body
        self.headers = headers or {}
        self.error = error
        self.seconds = seconds
        try:
            self.json = json.loads(body) if body else {}
        except ValueError:
            self.json = {}

    @property
    def path(self):
        return self.json.get("path", "") if isinstance(self.json, dict) else ""

    def __repr__(self):
        return f"{self.status} {self.path or self.error or self.body[:200]!r}"


class Client:
    """HTTP/1.1 to one address, keep-alive. One thread at a time.

    A request that fails is never repeated: it is what a user would have seen.
    """

    def __init__(self, address, port, timeout=10.0):
        self.address, self.port, self.timeout = address, port, timeout
        self.connection = None

    def request(self, target, host, headers=None, method="GET", body=None):
        begun = time.monotonic()
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(
                    self.address, self.port, timeout=self.timeout)
            self.connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            self.connection.putheader("Host", host)
            for name, value in (headers or {}).items():
                self.connection.putheader(name, value)
            if body is not None:
                self.connection.putheader("Content-Length", str(len(body)))
            self.connection.endheaders(body)
            response = self.connection.getresponse()
            data = response.read()
            if response.will_close:
                self.close()
            return Answer(response.status, data, {k.lower(): v for k, v in response.getheaders()},
                          seconds=time.monotonic() - begun)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Answer(0, error=f"{type(error).__name__}: {error}",
                          seconds=time.monotonic() - begun)

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Stream:
    """Requests one after the other in a thread, until stop(); every answer is kept."""

    def __init__(self, ask, pause=0.0):
        self.ask, self.pause = ask, pause
        self.answers = []  # (monotonic time of arrival, Answer)
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self.ending.is_set():
            answer = self.ask()
            self.answers.append((time.monotonic(), answer))
            if self.pause:
                time.sleep(self.pause)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.ending.set()
        self.thread.join(30)

    def failures(self):
        return [answer for _, answer in self.answers if answer.status != 200]

    def wait_for(self, wanted, seconds=10.0, after=0.0):
        """The time of the first answer after `after` that is `wanted`, or None."""
        deadline = time.monotonic() + seconds
        seen = 0
        while time.monotonic() < deadline:
            while seen < len(self.answers):
                at, answer = self.answers[seen]
                seen += 1
                if at > after and wanted(answer):
                    return at
            time.sleep(0.001)
        return None
