"""The process in which Python tasks run. It serves one call after the other until its socket closes.

Frames on the socket (standard input at the start): a 32-bit big-endian length, then JSON. Rows travel
in files in the scratch folder: an Arrow IPC stream where pyarrow is there, JSON lines where it is not.
"""

import sys
import os
import io
import json
import socket
import struct
import types

HOST_FILE = "<tidemill>"
MODULE = "__tidemill_task__"
INT_MIN, INT_MAX = -(2**63), 2**63 - 1


class Refused(Exception):
    """What came back from the user's function cannot be passed on."""


class Rows:
    """Rows of an input, read from disk one by one as dicts; may be iterated again and again."""

    def __init__(self, path, rows, columns):
        self._path, self._rows, self.columns = path, rows, columns

    def __iter__(self):
        with open(self._path, encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)

    def __len__(self):
        return self._rows

    def __repr__(self):
        return "<Rows: %d, columns %s>" % (self._rows, ", ".join(self.columns))


def has_arrow():
    from importlib.util import find_spec

    return find_spec("pyarrow") is not None


def read_input(spec):
    if spec["format"] == "arrow":
        import pyarrow

        with pyarrow.memory_map(spec["path"]) as source:
            return pyarrow.ipc.open_stream(source).read_all()
    return Rows(spec["path"], spec["rows"], spec["columns"])


def plain(value):
    """JSON for what `json` does not know."""
    for name in ("isoformat", "tolist", "item"):
        method = getattr(value, name, None)
        if method is not None:
            return method()
    if isinstance(value, (set, frozenset)):
        return list(value)
    if type(value).__name__ in ("Decimal", "UUID", "PosixPath"):
        return str(value)
    raise Refused("a value of type `%s` cannot become JSON" % type(value).__name__)


def to_json(value, limit):
    try:
        text = json.dumps(value, default=plain, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Refused("the returned value cannot become JSON: %s" % error) from None
    if len(text) > limit:
        raise Refused("the returned value is %d bytes of JSON; at most %d are kept" % (len(text), limit))
    return text


def write_arrow(value, path):
    """Writes anything that speaks Arrow; None if it does not."""
    import pyarrow

    if hasattr(value, "to_arrow"):
        value = value.to_arrow()
    if isinstance(value, pyarrow.RecordBatch):
        value = pyarrow.Table.from_batches([value])
    if isinstance(value, pyarrow.RecordBatchReader):
        batches, schema = value, value.schema
    elif isinstance(value, pyarrow.Table):
        batches, schema = value.to_batches(), value.schema
    elif hasattr(value, "__arrow_c_stream__"):
        table = pyarrow.table(value)
        batches, schema = table.to_batches(), table.schema
    else:
        return None
    rows = 0
    with pyarrow.OSFile(path, "wb") as sink, pyarrow.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            rows += batch.num_rows
            writer.write_batch(batch)
    return {"format": "arrow", "path": path, "rows": rows}


class Columns:
    """Learns the type of every column while rows pass."""

    MERGE = {("int", "float"): "float", ("int", "decimal"): "decimal"}

    def __init__(self):
        self.kinds, self.scales, self.row = {}, {}, 0

    def note(self, name, kind):
        known = self.kinds.get(name)
        if known is None or known == kind:
            self.kinds[name] = kind
            return
        if kind is None:
            return
        merged = self.MERGE.get((known, kind)) or self.MERGE.get((kind, known))
        if merged is None:
            raise Refused("column `%s` holds %s before row %d and %s in it" % (name, known, self.row, kind))
        self.kinds[name] = merged

    def value(self, name, value):
        """The JSON form of one value."""
        if value is None:
            self.note(name, None)
            return None
        kind = type(value)
        if kind is bool:
            self.note(name, "bool")
        elif kind is int:
            if not INT_MIN <= value <= INT_MAX:
                raise Refused("column `%s`, row %d: %d does not fit 64 bits" % (name, self.row, value))
            self.note(name, "int")
        elif kind is float:
            self.note(name, "float")
            if value != value or value in (float("inf"), float("-inf")):
                return repr(value)
        elif kind is str:
            self.note(name, "text")
        else:
            return self.rare(name, value)
        return value

    def rare(self, name, value):
        import datetime
        import decimal

        if isinstance(value, datetime.datetime):
            if value.tzinfo is not None:
                self.note(name, "moment")
                return value.astimezone(datetime.timezone.utc).isoformat()
            self.note(name, "timestamp")
            return value.isoformat()
        if isinstance(value, datetime.date):
            self.note(name, "date")
            return value.isoformat()
        if isinstance(value, decimal.Decimal):
            if not value.is_finite():
                raise Refused("column `%s`, row %d: a decimal must be finite" % (name, self.row))
            self.note(name, "decimal")
            self.scales[name] = max(self.scales.get(name, 0), -value.as_tuple().exponent)
            return format(value, "f")
        if isinstance(value, (bytes, bytearray)):
            self.note(name, "bytes")
            return value.hex()
        if isinstance(value, (dict, list, tuple)):
            self.note(name, "text")
            return json.dumps(value, default=plain)
        if hasattr(value, "item"):
            return self.value(name, value.item())
        raise Refused(
            "column `%s`, row %d: a value of type `%s` cannot be a table's" % (name, self.row, type(value).__name__)
        )

    def listing(self):
        return [
            {"name": name, "kind": kind or "text", "scale": self.scales.get(name, 0)}
            for name, kind in self.kinds.items()
        ]


def write_rows(value, path):
    if value is None or isinstance(value, (str, bytes, dict)):
        raise Refused("rows were promised, but the function returned `%s`" % type(value).__name__)
    try:
        rows = iter(value)
    except TypeError:
        raise Refused("rows were promised, but the function returned `%s`" % type(value).__name__) from None
    columns = Columns()
    with open(path, "w", encoding="utf-8") as out:
        for row in rows:
            columns.row += 1
            if not isinstance(row, dict):
                raise Refused("row %d is `%s`; every row is a dict" % (columns.row, type(row).__name__))
            encoded = {str(name): columns.value(str(name), cell) for name, cell in row.items()}
            out.write(json.dumps(encoded))
            out.write("\n")
    return {"format": "rows", "path": path, "rows": columns.row, "columns": columns.listing()}


def deliver(value, request):
    """What goes back: a value as JSON, or where the rows lie."""
    if request["returns"] == "value":
        return '{"value":%s' % to_json(value, request["limit"])
    path = os.path.join(request["scratch"], "output")
    written = None
    if ARROW and not isinstance(value, (list, types.GeneratorType)):
        written = write_arrow(value, path)
    if written is None:
        written = write_rows(value, path)
    return '{"rows":%s' % json.dumps(written)


def describe(error):
    """The error as the user should see it: their frames only."""
    import traceback

    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == HOST_FILE:
        trace = trace.tb_next
    lines = traceback.format_exception(type(error), error, trace)
    line, file, walk = None, None, trace
    while walk is not None:
        if walk.tb_frame.f_code.co_filename in SOURCES:
            line, file = walk.tb_lineno, walk.tb_frame.f_code.co_filename
        walk = walk.tb_next
    if isinstance(error, SyntaxError) and error.filename in SOURCES:
        line, file = error.lineno, error.filename
    message = "".join(traceback.format_exception_only(type(error), error)).strip()
    if isinstance(error, SystemExit):
        message = "the code called exit(%s)" % (error.code if error.code is not None else "")
    kind = "raised"
    if isinstance(error, MemoryError):
        kind = "memory"
    elif isinstance(error, Refused):
        kind, message = "refused", str(error)
    last = message.splitlines()[-1] if message else type(error).__name__
    return {"kind": kind, "message": last, "line": line, "file": file, "trace": "".join(lines)}


COMPILED = {}
SOURCES = set()


def load(request):
    """The user's function, from code compiled once and run in a fresh module."""
    import linecache

    key, file = request["hash"], request["file"]
    if len(COMPILED) > 512:
        COMPILED.clear()
        SOURCES.clear()
    SOURCES.add(file)
    linecache.cache[file] = (len(request["code"]), None, request["code"].splitlines(True), file)
    code = COMPILED.get(key)
    if code is None:
        code = COMPILED[key] = compile(request["code"], file, "exec", dont_inherit=True)
    module = types.ModuleType(MODULE)
    module.__file__ = file
    sys.modules[MODULE] = module
    exec(code, module.__dict__)
    function = module.__dict__.get(request["function"])
    if not callable(function):
        raise Refused("the code defines no function `%s`" % request["function"])
    return function


def call(request):
    arguments = dict(request["args"])
    for name, spec in request["inputs"].items():
        arguments[name] = read_input(spec)
    value = load(request)(**arguments)
    if isinstance(value, types.CoroutineType):
        import asyncio

        value = asyncio.run(value)
    return deliver(value, request)


def serve(request):
    """One call, with everything put back afterwards that user code likes to move."""
    streams, path, cwd = (sys.stdout, sys.stderr, sys.stdin), list(sys.path), os.getcwd()
    environment = dict(os.environ) if request["env"] else None
    loaded, pid = set(sys.modules), os.getpid()
    try:
        if request["env"]:
            os.environ.update(request["env"])
        if request["folder"]:
            sys.path.insert(0, request["folder"])
        os.chdir(request["scratch"])
        answer = call(request)
    except BaseException as error:  # Whatever it is, it is the user's, and the next call still comes.
        if os.getpid() != pid:
            os._exit(1)
        answer = '{"error":%s' % json.dumps(describe(error))
        error.__traceback__ = None
    if os.getpid() != pid:
        # A forked child that came back from the user's function is not the host.
        os._exit(0)
    sys.stdout, sys.stderr, sys.stdin = streams
    restore(path, cwd, environment)
    forget(request["folder"], loaded)
    for stream in streams[:2]:
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
    return answer + ',"spoiled":%s,"peak_kb":%d}' % (spoiled(), peak())


def restore(path, cwd, environment):
    sys.path[:] = path
    os.chdir(cwd)
    if environment is not None:
        os.environ.clear()
        os.environ.update(environment)


def forget(folder, loaded):
    """Modules beside a script may change between calls, so they are not kept."""
    sys.modules.pop(MODULE, None)
    if not folder:
        return
    for name in set(sys.modules) - loaded:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(folder):
            del sys.modules[name]


def spoiled():
    """Whether threads or children of the call are still there: then this process serves no other."""
    threading = sys.modules.get("threading")
    busy = threading is not None and threading.active_count() > 1
    try:
        os.waitpid(-1, os.WNOHANG)
        busy = True
    except (ChildProcessError, OSError):
        pass
    return "true" if busy else "false"


def peak():
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def receive(link, size):
    data = link.recv(size, socket.MSG_WAITALL)
    while len(data) < size:
        more = link.recv(size - len(data), socket.MSG_WAITALL)
        if not more:
            return None
        data += more
    return data


def send(link, text):
    data = text.encode("utf-8", "backslashreplace")
    link.sendall(struct.pack(">I", len(data)) + data)


def main():
    global ARROW
    link = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    ARROW = has_arrow()
    send(link, json.dumps({"arrow": ARROW, "version": sys.version.split()[0], "peak_kb": peak()}))
    while True:
        head = link.recv(4, socket.MSG_WAITALL)
        if len(head) < 4:
            return
        body = receive(link, struct.unpack(">I", head)[0])
        if body is None:
            return
        send(link, serve(json.loads(body)))


ARROW = False
