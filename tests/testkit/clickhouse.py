"""The ClickHouse engine behind as much of its HTTP interface as clients need: chdb over one session.

    python clickhouse.py FOLDER

Prints the port on its first line. Clients keep connections open, so each has a thread; requests go one at a time, as the
engine's session wants it.
"""

import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from chdb import session

engine = session.Session(sys.argv[1])
engine.query("CREATE DATABASE IF NOT EXISTS tidemill")
engine.query("USE tidemill")
turn = threading.Lock()


class Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def body(self):
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = []
        while True:
            size = int(self.rfile.readline().split(b";")[0], 16)
            part = self.rfile.read(size)
            self.rfile.readline()
            if size == 0:
                return b"".join(parts)
            parts.append(part)

    def answer(self, status, content):
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        self.do_POST()

    def do_POST(self):
        params = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        body = self.body()
        try:
            query = params.get("query")
            if query is None:
                query, body = body.decode(), b""
            with turn:
                content = run(query, body, params)
            self.answer(200, content)
        except Exception as error:
            self.answer(500, str(error).encode())


def run(query, body, params):
    words = query.split()
    if words and words[0].upper() == "INSERT" and body:
        statement, _, form = query.rpartition(" FORMAT ")
        with engine.send_insert(statement, form.strip()) as insert:
            insert.append(body)
            insert.finish()
        return b""
    result = engine.query(query, params.get("default_format", "TabSeparated"))
    return result.bytes() or b""


server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
print(server.server_port, flush=True)
server.serve_forever()
