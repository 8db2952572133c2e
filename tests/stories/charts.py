"""Renders the Helm chart, lints it, checks every object against the schemas of Kubernetes, and prints the objects.

    python charts.py CHART VALUES.json
"""

import json
import sys

import helm_python as helm
import kubernetes_validate
import yaml

path, values = sys.argv[1], json.loads(sys.argv[2])
found = helm.lint(path)
objects = []
with helm.Chart.load(path) as chart:
    chart.validate_schema(values)
    for name, text in sorted(chart.render(values, name="demo", namespace="prod").items()):
        if not name.endswith(".yaml"):
            continue
        for thing in yaml.safe_load_all(text):
            if thing:
                kubernetes_validate.validate(thing, kubernetes_validate.latest_version(), strict=True)
                objects.append(thing)
print(json.dumps({"lint": found, "objects": objects}, default=str))
