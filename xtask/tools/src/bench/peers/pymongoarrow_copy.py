"""MongoDB -> Arrow table -> ClickHouse with pymongoarrow and clickhouse-connect: the whole collection at once.

Arguments: MongoDB URI with a database, collection, ClickHouse host, HTTP port, database, table. The table is there.
Prints one JSON object with the seconds from the first connection to the last acknowledgement.
"""

import json
import sys
import time

import clickhouse_connect
import pyarrow as pa
import pymongo
from pymongoarrow.api import Schema, find_arrow_all
from pymongoarrow.types import ObjectIdType

# Declared, as inferring it would cost pymongoarrow time that Zenith's user does not have to spend either.
SCHEMA = Schema(
    {
        "_id": ObjectIdType(),
        "session": pa.int64(),
        "at": pa.timestamp("ms"),
        "kind": pa.string(),
        "country": pa.string(),
        "user": pa.string(),
        "path": pa.string(),
        "amount": pa.float64(),
        "status": pa.int32(),
        "mobile": pa.bool_(),
        "device": pa.struct([("os", pa.string()), ("browser", pa.string()), ("version", pa.int32())]),
        "tags": pa.list_(pa.string()),
    }
)


def main():
    uri, collection, host, port, database, table = sys.argv[1:]
    begun = time.monotonic()
    source = pymongo.MongoClient(uri).get_default_database()[collection]
    rows = find_arrow_all(source, {}, schema=SCHEMA)
    # ClickHouse knows no extension types: the twelve bytes themselves.
    ids = pa.chunked_array([chunk.storage for chunk in rows["_id"].chunks])
    rows = rows.set_column(0, "_id", ids)
    client = clickhouse_connect.get_client(host=host, port=int(port), database=database)
    client.insert_arrow(table, rows, settings={"async_insert": 0})
    print(json.dumps({"seconds": time.monotonic() - begun, "rows": rows.num_rows}))


main()
