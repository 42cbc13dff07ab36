"""Holds manifests of Kubernetes against its schemas: manifests.py VERSION < manifests.

A field that the version does not know is a mistake. Kinds of other makers, such as those of the Prometheus operator, have
no schema here; only their parts that every kind has are looked at.
"""

import sys

import kubernetes_validate
import yaml

version, checked = sys.argv[1], 0
for manifest in yaml.safe_load_all(sys.stdin):
    if manifest is None:
        continue
    if not manifest["apiVersion"].startswith("monitoring.coreos.com/"):
        kubernetes_validate.validate(manifest, version, strict=True)
    checked += bool(manifest["kind"] and manifest["metadata"]["name"])
print(f"{checked} manifests")
