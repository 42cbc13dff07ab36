"""Packs a program into a Python wheel: wheel.py WHEEL PROGRAM README LICENCE LICENCES DESCRIPTION.

Name, version and tags are those in the name of the wheel. Times are SOURCE_DATE_EPOCH, so that the same files give the
same bytes. The format is that of the "Binary distribution format" specification.
"""

import base64
import hashlib
import os
import sys
import time
import zipfile

wheel, program, readme, *licences, description = sys.argv[1:]
name, version, *tags = os.path.basename(wheel).removesuffix(".whl").split("-")
tag = "-".join(tags)
info = f"{name}-{version}.dist-info"


def content(path):
    with open(path, "rb") as file:
        return file.read()


metadata = f"""\
Metadata-Version: 2.4
Name: {name}
Version: {version}
Summary: {description}
License-Expression: Apache-2.0
{"".join(f"License-File: {os.path.basename(path)}" + chr(10) for path in licences)}\
Requires-Python: >=3.8
Description-Content-Type: text/markdown

"""
files = {
    f"{name}-{version}.data/scripts/zenith": content(program),
    f"{info}/METADATA": metadata.encode() + content(readme),
    f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: zenith\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(),
}
for path in licences:
    files[f"{info}/licenses/{os.path.basename(path)}"] = content(path)


def row(path, data):
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(data)}\n"


rows = "".join(row(path, data) for path, data in files.items())
files[f"{info}/RECORD"] = f"{rows}{info}/RECORD,,\n".encode()

moment = time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))[:6]
with zipfile.ZipFile(wheel, "w") as archive:
    for path, data in files.items():
        entry = zipfile.ZipInfo(path, moment)
        mode = 0o755 if "/scripts/" in path else 0o644
        entry.external_attr = (0o100000 | mode) << 16
        entry.create_system = 3
        archive.writestr(entry, data, zipfile.ZIP_DEFLATED, 9)
