"""Wind speed in miles per hour to the Beaufort scale (upper bounds of forces 0 to 11)."""

import bisect

BOUNDS = [1, 4, 8, 13, 19, 25, 32, 39, 47, 55, 64, 73]


def rows_of(table):
    """Rows as dicts, whether they come as an Arrow table or as dicts already."""
    return table.to_pylist() if hasattr(table, "to_pylist") else table


def run(hours):
    return [
        {"origin": row["origin"], "beaufort": bisect.bisect_right(BOUNDS, row["wind_speed"])}
        for row in rows_of(hours)
    ]
