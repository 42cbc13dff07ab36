"""MongoDB -> ClickHouse with dlt: a generator over a pymongo cursor, in lists, as its documentation advises.

Arguments: MongoDB URI with a database, collection, number of documents, ClickHouse host, HTTP port, native port,
database, working folder. Prints one JSON object with the seconds of the whole run of the pipeline.
"""

import json
import os
import sys
import time

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
# Documents and lists stay in one table as JSON: child tables would only cost dlt more.
NESTING = 0
CHUNK = 10_000

import dlt
import pymongo


def main():
    uri, collection, limit, host, http_port, native_port, database, folder = sys.argv[1:]

    @dlt.resource(name=collection, write_disposition="replace", max_table_nesting=NESTING)
    def documents():
        cursor = pymongo.MongoClient(uri).get_default_database()[collection].find({}, limit=int(limit))
        chunk = []
        for document in cursor:
            document["_id"] = str(document["_id"])
            chunk.append(document)
            if len(chunk) == CHUNK:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    destination = dlt.destinations.clickhouse(
        credentials={
            "host": host,
            "port": int(native_port),
            "http_port": int(http_port),
            "username": "default",
            "password": "",
            "database": database,
            "secure": 0,
        }
    )
    pipeline = dlt.pipeline("zenith_bench", destination=destination, dataset_name="dlt", pipelines_dir=folder)
    begun = time.monotonic()
    pipeline.run(documents())
    print(json.dumps({"seconds": time.monotonic() - begun}))


main()
