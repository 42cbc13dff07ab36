//! A record batch as one insert: one statement, one block, one token.
//!
//! What the settings are for:
//!
//! | setting | why |
//! | --- | --- |
//! | `async_insert=0` | the answer means that the rows are in the table, not in a queue |
//! | `wait_end_of_query=1` (HTTP) | the status of the answer is final |
//! | `insert_deduplicate`, `insert_deduplication_token` | a repeat has no effect |
//! | `deduplicate_blocks_in_dependent_materialized_views=1` | nor has it on views, except for what they lack |
//! | `min_insert_block_size_*`, `max_insert_block_size*` | the batch is one block, however large, so it lands whole |
//! | `optimize_on_insert=0` | rows are not merged on the way in |
//! | `input_format_null_as_default=0` | a NULL the column cannot hold is an error, not a zero |
//! | `input_format_arrow_use_native_reader=1` | ClickHouse's own reader, which is the faster one |

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::{ClickHouseSink, convert};
use crate::Result;
use crate::ddl::identifier;
use crate::sink::{Durable, Insert};
use crate::statement::Statement;

/// Beyond any batch.
const BLOCK_MAX: &str = "4000000000";

const SETTINGS: [(&str, &str); 13] = [
    ("async_insert", "0"),
    ("deduplicate_blocks_in_dependent_materialized_views", "1"),
    ("insert_deduplicate", "1"),
    ("max_insert_block_size", BLOCK_MAX),
    ("min_insert_block_size_rows", BLOCK_MAX),
    ("min_insert_block_size_bytes", BLOCK_MAX),
    ("max_insert_threads", "1"),
    ("optimize_on_insert", "0"),
    ("input_format_parallel_parsing", "0"),
    ("input_format_null_as_default", "0"),
    ("input_format_arrow_use_native_reader", "1"),
    ("input_format_arrow_case_insensitive_column_matching", "0"),
    ("max_partitions_per_insert_block", "0"),
];

pub(super) async fn write(sink: &ClickHouseSink, insert: Insert) -> Result<Durable> {
    let Insert { table, batch, token } = insert;
    let name = sink.full_name(&table);
    let server = sink.server().await?;
    let converting = convert::statement(sink, &table, batch.schema_ref()).await?;
    let converting_settings = if converting.is_some() { &convert::SETTINGS[..] } else { &[] };
    let sql = converting.unwrap_or_else(|| {
        // Without this list ClickHouse's Arrow reader drops columns the table lacks, in silence.
        let columns: Vec<String> =
            batch.schema_ref().fields().iter().map(|field| identifier(field.name())).collect();
        format!("INSERT INTO {name} ({}) FORMAT {}", columns.join(", "), sink.session.format())
    });
    let rows = u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
    let mut statement =
        Statement::new(format!("inserting {rows} row{} into {name}", if rows == 1 { "" } else { "s" }), sql)
            .query_id(query_id(&token))
            .set("insert_deduplication_token", token);
    for (setting, value) in SETTINGS.iter().chain(converting_settings) {
        statement = server.set(statement, setting, value);
    }
    let start = Instant::now();
    let bytes = sink.session.insert(statement, batch).await?;
    let durable = Durable { rows, bytes, elapsed: start.elapsed() };
    tracing::debug!(table, rows, bytes, elapsed = ?durable.elapsed, "insert acknowledged");
    Ok(durable)
}

/// Every attempt has a query id of its own: the server refuses an id while an attempt given up runs on.
fn query_id(token: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let token: String = token.chars().filter(char::is_ascii_graphic).take(100).collect();
    format!("zenith-{token}-{now:x}-{:x}", NEXT.fetch_add(1, Ordering::Relaxed))
}
