"""Holds a dashboard against Grafana's own models: dashboard.py FILE.

The models of grafana-foundation-sdk are generated from Grafana's schema. A dashboard is read into them and written again:
what they do not know gets lost on the way, so both have to be equal. Then each value is compared with the type that the
model declares for it, since reading does not do that.
"""

import enum
import json
import sys
import types
import typing

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def lost(before, after, path):
    """What one JSON value has and the other one has not."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key in after:
                yield from lost(value, after[key], f"{path}.{key}")
            elif value is not None:
                yield f"{path}.{key} is not part of the schema"
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after)):
            yield from lost(one, other, f"{path}[{number}]")
    elif before != after:
        yield f"{path} is {before!r}, and as the schema has it {after!r}"


def fits(value, kind):
    """Whether a value is of a type, as far as the type says."""
    origin, choices = typing.get_origin(kind), typing.get_args(kind)
    if kind is typing.Any or kind is object or isinstance(kind, typing.TypeVar):
        return True
    if origin is typing.Union or origin is types.UnionType:
        return any(fits(value, choice) for choice in choices)
    if origin is typing.Literal:
        return value in choices
    if origin is list:
        return isinstance(value, list) and all(fits(item, choices[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(fits(item, choices[1]) for item in value.values())
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return value in [member.value for member in kind] or isinstance(value, kind)
    if isinstance(kind, type):
        return isinstance(value, kind)
    return True


def misfits(value, path):
    """Attributes of a model, and of those in it, that are of another type than it declares."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from misfits(item, f"{path}[{number}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from misfits(item, f"{path}.{key}")
    elif type(value).__module__.startswith("grafana_foundation_sdk"):
        for name, kind in typing.get_type_hints(type(value)).items():
            item = getattr(value, name, None)
            if item is not None and not fits(item, kind):
                yield f"{path}.{name} is {item!r}, and not {kind}"
            yield from misfits(item, f"{path}.{name}")


def main():
    register_default_plugins()
    with open(sys.argv[1], encoding="utf-8") as file:
        before = json.load(file)
    dashboard = Dashboard.from_json(before)
    after = json.loads(JSONEncoder(sort_keys=True).encode(dashboard))
    complaints = [*lost(before, after, "dashboard"), *misfits(dashboard, "dashboard")]
    for complaint in complaints:
        print(complaint)
    sys.exit(1 if complaints else 0)


main()
