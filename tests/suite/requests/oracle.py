"""The independent computation: the same files, read by Python and queried by SQLite.

Reads requests as JSON on standard input, `{"folders": [...], "queries": ["…", …]}`, and prints one JSON
line per query: its rows, or `{"error": "…"}`.
"""

import csv
import gzip
import json
import pathlib
import sqlite3
import sys

MISSING = {"nyc": {"NA", "\\N", ""}, "shop": {""}}


def value(text, missing):
    if text in missing:
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def load(db, folder):
    missing = MISSING[folder.name]
    for path in sorted(folder.glob("*.csv*")):
        table = path.name.split(".")[0]
        opened = gzip.open(path, "rt", newline="") if path.suffix == ".gz" else open(path, newline="")
        with opened as lines:
            rows = csv.reader(lines)
            header = next(rows)
            columns = ", ".join(f'"{name}"' for name in header)
            db.execute(f'CREATE TABLE "{table}" ({columns})')
            marks = ", ".join("?" * len(header))
            db.executemany(f'INSERT INTO "{table}" VALUES ({marks})', ([value(v, missing) for v in row] for row in rows))


def main():
    wanted = json.load(sys.stdin)
    db = sqlite3.connect(":memory:")
    for folder in wanted["folders"]:
        load(db, pathlib.Path(folder))
    for query in wanted["queries"]:
        try:
            print(json.dumps(db.execute(query).fetchall()))
        except sqlite3.Error as error:
            print(json.dumps({"error": str(error)}))


main()
