//! A copy whose rows get a column that the program computes: here a number from 0 to 15 by the `_id`, to take parts by.
//! `ZENITH_SOURCE=mongodb://…/DB ZENITH_TARGET=http://…/DB cargo run -p zenith-engine --example embed_transform COLLECTION`.
#![allow(clippy::print_stdout)]

use std::env;
use std::error::Error;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, Int32Array, RecordBatch};
use arrow_schema::{DataType, Field, FieldRef, Schema};
use zenith_engine::{
    BatchTransform, ClickHouseSink, ConnectionOptions, MongoSource, Namespace, Pipeline, Pool, Target,
    TransformError,
};

/// Adds `shard`. The same `_id` has the same number each time, whatever rows are beside it.
#[derive(Debug)]
struct Shards;

impl BatchTransform for Shards {
    fn fields(&self, rows: &Schema) -> Result<Vec<FieldRef>, TransformError> {
        match rows.field_with_name("_id")?.data_type() {
            DataType::Utf8 => Ok(vec![Arc::new(Field::new("shard", DataType::Int32, false))]),
            other => Err(format!("_id is {other}, and its text is needed").into()),
        }
    }

    fn columns(&self, rows: &RecordBatch) -> Result<Vec<ArrayRef>, TransformError> {
        let ids = rows.column_by_name("_id").and_then(|ids| ids.as_string_opt::<i32>());
        let ids = ids.ok_or("there is no _id of text")?;
        let shard = |id: Option<&str>| id.unwrap_or_default().bytes().map(i32::from).sum::<i32>() % 16;
        Ok(vec![Arc::new(Int32Array::from_iter_values(ids.iter().map(shard)))])
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let collection = env::args().nth(1).ok_or("usage: embed_transform COLLECTION")?;
    let source = MongoSource::connect(&env::var("ZENITH_SOURCE")?).await?;
    let database = source.default_database().ok_or("ZENITH_SOURCE names no database")?.to_owned();
    let pool = Pool::new(64 << 20)?;
    let target = Target::parse(&env::var("ZENITH_TARGET")?)?;
    let pipeline = Pipeline::builder()
        .source(source)
        .sink(ClickHouseSink::new(target, Some(pool.clone()), ConnectionOptions::default())?)
        .pool(pool)
        .namespace(Namespace::new(database, collection))
        .transform(Arc::new(Shards))
        .build()?;
    let summary = pipeline.run().await?;
    println!("{} rows in {:.2?} into {}", summary.rows, summary.elapsed, summary.table);
    Ok(())
}
