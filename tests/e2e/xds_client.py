"""A bare xDS client: gRPC over HTTP/2 in plain bytes, so that a test can also send what no decent
client would. Only what these tests need: one stream, no HPACK tables, no TLS.
"""

import select
import socket
import struct
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_HEADERS, END_STREAM, ACK = 4, 1, 1
INITIAL_WINDOW_SIZE = 4
ENHANCE_YOUR_CALM = 11
STATUS = (b"grpc-status", bytes.fromhex("9acac8b21234da8f"))  # plain, and as Huffman's code of RFC 7541 has it
DELTA = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
STREAM = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
ROUTE = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def varint(value):
    out = b""
    while value > 0x7f:
        out += bytes([value & 0x7f | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    """One protobuf field: text, bytes, or a number."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(data):
    """The fields of a message, as (number, value)."""
    at = 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = number()
        if tag & 7 == 0:
            yield tag >> 3, number()
        elif tag & 7 == 2:
            size = number()
            yield tag >> 3, data[at:at + size]
            at += size
        else:
            at += 8 if tag & 7 == 1 else 4


def node(name="client", namespace="fe-pre"):
    """A Node message; its Struct of metadata says the namespace."""
    entry = field(1, "NAMESPACE") + field(2, field(3, namespace))
    return field(1, f"sidecar~127.1.7.7~{name}.{namespace}~{namespace}.svc.cluster.local") + field(3, field(1, entry))


class Response:
    """A DeltaDiscoveryResponse: `versions` by name, `removed`, `nonce`, `type_url`."""

    def __init__(self, data):
        self.versions, self.removed, self.nonce, self.type_url = {}, [], "", ""
        for number, value in fields(data):
            if number == 2:
                parts = dict(fields(value))
                self.versions[parts[3].decode()] = parts[1].decode()
            elif number == 4:
                self.type_url = value.decode()
            elif number == 5:
                self.nonce = value.decode()
            elif number == 6:
                self.removed.append(value.decode())

    def __repr__(self):
        return f"{self.type_url.split('.')[-1]} {sorted(self.versions)} -{self.removed}"


class Client:
    """One connection with one stream."""

    def __init__(self, address, path=DELTA):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=5)
        self.bytes = self.messages = self.trailers = b""
        self.ended = False
        self.reset = None  # the code of RST_STREAM
        self.windows = {0: 65535, 1: 65535}  # what the server takes: of the connection, of the stream
        self.window_first = 65535  # of a new stream, by its SETTINGS
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0) + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 28)))
        headers = b""
        for name, value in ((":method", "POST"), (":scheme", "http"), (":path", path), (":authority", address),
                            ("content-type", "application/grpc"), ("te", "trailers")):
            headers += b"\x00" + self._text(name) + self._text(value)
        self.socket.sendall(frame(HEADERS, END_HEADERS, 1, headers) +
                            frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", 1 << 28)))

    @staticmethod
    def _text(text):
        """RFC 7541 5.2, without Huffman; up to 127 + 127 bytes."""
        data = text.encode()
        size = bytes([len(data)]) if len(data) < 127 else b"\x7f" + varint(len(data) - 127)
        return size + data

    def send(self, message):
        self.raw(struct.pack(">BI", 0, len(message)) + message)

    def raw(self, data):
        """Bytes of the stream, as they are."""
        for at in range(0, max(len(data), 1), 16384):
            self.socket.sendall(frame(DATA, 0, 1, data[at:at + 16384]))

    def flood(self, promised, size, seconds=60.0):
        """One message that says it is `promised` bytes long: sends up to `size` of them, and never more than
        the server's windows allow. Gives how many it sent until the stream ended, or `seconds` were over.
        For a client that has sent nothing before."""
        head = struct.pack(">BI", 0, promised)
        sent = 0
        deadline = time.monotonic() + seconds
        while sent < size and not self.ended and time.monotonic() < deadline:
            now = min(16384, *self.windows.values(), size - sent)
            if now > 0:
                payload = head[sent:sent + now].ljust(now, b"x")
                self.windows = {stream: window - now for stream, window in self.windows.items()}
                try:
                    self.socket.settimeout(5)
                    self.socket.sendall(frame(DATA, 0, 1, payload))
                except OSError:
                    self.ended = True
                sent += now
            pause = 0 if now > 0 else 0.1
            while not self.ended and (self._has_frame() or select.select([self.socket], [], [], pause)[0]):
                self._read_frame(time.monotonic() + 1)
                pause = 0
        return sent

    def exhausted(self):
        """Whether the stream ended with what gRPC takes for RESOURCE_EXHAUSTED."""
        return any(name + b"\x018" in self.trailers for name in STATUS) or self.reset == ENHANCE_YOUR_CALM

    def delta(self, type_url, *, subscribe=(), nonce="", error="", first=False, held=None, unsubscribe=()):
        message = field(1, node()) if first else b""
        message += field(2, type_url)
        for name in subscribe:
            message += field(3, name)
        for name in unsubscribe:
            message += field(4, name)
        for name, version in (held or {}).items():
            message += field(5, field(1, name) + field(2, version))
        if nonce:
            message += field(6, nonce)
        if error:
            message += field(7, field(1, 13) + field(2, error))
        self.send(message)

    def receive(self, seconds=5.0):
        """The next response, or None: nothing came, or the stream ended (`ended`)."""
        message = self.receive_message(seconds)
        return None if message is None else Response(message)

    def receive_message(self, seconds=5.0):
        """The same as bytes."""
        deadline = time.monotonic() + seconds
        while True:
            if len(self.messages) >= 5:
                size = struct.unpack(">I", self.messages[1:5])[0]
                if len(self.messages) >= 5 + size:
                    message = self.messages[5:5 + size]
                    self.messages = self.messages[5 + size:]
                    return message
            if self.ended or not self._read_frame(deadline):
                return None

    def _has_frame(self):
        return len(self.bytes) >= 9 + int.from_bytes(self.bytes[:3], "big")

    def _read_frame(self, deadline):
        while not self._has_frame():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self.socket.settimeout(left)
            try:
                got = self.socket.recv(65536)
            except TimeoutError:
                return False
            except OSError:
                got = b""
            if not got:
                self.ended = True
                return False
            self.bytes += got
        size = int.from_bytes(self.bytes[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", self.bytes[3:9])
        payload = self.bytes[9:9 + size]
        self.bytes = self.bytes[9 + size:]
        if kind == DATA:
            self.messages += payload
        elif kind == HEADERS:
            self.trailers = payload
        elif kind == WINDOW_UPDATE:
            self.windows[stream] += int.from_bytes(payload, "big")
        elif kind in (SETTINGS, PING) and not flags & ACK:
            for at in range(0, len(payload) if kind == SETTINGS else 0, 6):
                name, value = struct.unpack(">HI", payload[at:at + 6])
                if name == INITIAL_WINDOW_SIZE:
                    self.windows[1] += value - self.window_first
                    self.window_first = value
            try:
                self.socket.sendall(frame(kind, ACK, 0, payload if kind == PING else b""))
            except OSError:
                self.ended = True
        if kind == RST_STREAM:
            self.reset = int.from_bytes(payload, "big")
        if kind in (RST_STREAM, GOAWAY) or (stream == 1 and flags & END_STREAM and kind in (DATA, HEADERS)):
            self.ended = True
        return True

    def take(self, type_url, *, seconds=5.0, until=None):
        """Subscribes to all of a type, ACKs what comes, and gives the versions by name: when the resource `until`
        has come; without that, when for a moment nothing more does."""
        self.delta(type_url, first=True)
        held = {}
        while True:
            response = self.receive(seconds)
            if response is None:
                return held
            self.delta(response.type_url, nonce=response.nonce)
            if response.type_url == type_url:
                held.update(response.versions)
                if until in held:
                    return held
                if until is None:
                    seconds = 0.3  # more chunks come at once, or not at all

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
