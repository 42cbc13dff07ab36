"""Reads a compose file as the compose specification has them: compose.py FILE.

What services name has to be defined, and files that they mount have to be there.
"""

import pathlib
import sys

import yaml
from compose_spec import PyCompose

place = pathlib.Path(sys.argv[1])
text = place.read_text(encoding="utf-8")
PyCompose.from_yaml(text).validate()
for name, service in yaml.safe_load(text)["services"].items():
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith(".") and not (place.parent / source).is_file():
            sys.exit(f"{name} mounts {source}, which is not there")
