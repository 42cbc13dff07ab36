//! The object-safe twin of [`Sink`], for sinks chosen at run time.
//!
//! There is nothing to implement here: every `Sink` is a [`DynSink`], `dyn DynSink` is a `Sink`, and so
//! are references, boxes and `Arc`s of either.

use std::pin::Pin;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::FieldRef;

use super::{
    Durable, Insert, Merging, ObjectInfo, PreflightRequest, Published, Selection, ServerInfo, Sink, TableInfo,
};
use crate::Result;
use crate::ddl::TableDefinition;
use crate::dead_letter::DeadLetter;

/// A boxed future of a sink.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// [`Sink`] with boxed futures. Call the methods of [`Sink`], which `dyn DynSink` implements.
pub trait DynSink: Send + Sync {
    /// [`Sink::preflight`], boxed.
    fn preflight_boxed<'a>(&'a self, wanted: &'a PreflightRequest) -> Boxed<'a, ServerInfo>;
    /// [`Sink::describe`], boxed.
    fn describe_boxed<'a>(&'a self, table: &'a str) -> Boxed<'a, Option<TableInfo>>;
    /// [`Sink::object`], boxed.
    fn object_boxed<'a>(&'a self, name: &'a str) -> Boxed<'a, Option<ObjectInfo>>;
    /// [`Sink::tables`], boxed.
    fn tables_boxed<'a>(&'a self, prefix: &'a str) -> Boxed<'a, Vec<String>>;
    /// [`Sink::create`], boxed.
    fn create_boxed<'a>(&'a self, definition: &'a TableDefinition) -> Boxed<'a, ()>;
    /// [`Sink::add_columns`], boxed.
    fn add_columns_boxed<'a>(&'a self, table: &'a str, fields: &'a [FieldRef]) -> Boxed<'a, ()>;
    /// [`Sink::write`], boxed.
    fn write_boxed<'a>(&'a self, insert: Insert) -> Boxed<'a, Durable>;
    /// [`Sink::count`], boxed.
    fn count_boxed<'a>(&'a self, table: &'a str) -> Boxed<'a, u64>;
    /// [`Sink::publish`], boxed.
    fn publish_boxed<'a>(&'a self, shadow: &'a str, table: &'a str) -> Boxed<'a, Published>;
    /// [`Sink::set_merging`], boxed.
    fn set_merging_boxed<'a>(&'a self, table: &'a str, merging: Merging) -> Boxed<'a, ()>;
    /// [`Sink::truncate`], boxed.
    fn truncate_boxed<'a>(&'a self, table: &'a str) -> Boxed<'a, ()>;
    /// [`Sink::drop_table`], boxed.
    fn drop_table_boxed<'a>(&'a self, table: &'a str) -> Boxed<'a, ()>;
    /// [`Sink::read`], boxed.
    fn read_boxed<'a>(&'a self, table: &'a str) -> Boxed<'a, Vec<RecordBatch>>;
    /// [`Sink::read_where`], boxed.
    fn read_where_boxed<'a>(&'a self, selection: &'a Selection) -> Boxed<'a, Option<Vec<RecordBatch>>>;
    /// [`Sink::execute`], boxed.
    fn execute_boxed<'a>(&'a self, statement: &'a str) -> Boxed<'a, ()>;
    /// [`Sink::query`], boxed.
    fn query_boxed<'a>(&'a self, statement: &'a str) -> Boxed<'a, Vec<RecordBatch>>;
    /// [`Sink::write_dead_letters`], boxed.
    fn write_dead_letters_boxed<'a>(
        &'a self,
        table: &'a str,
        letters: &'a [DeadLetter],
        token: &'a str,
    ) -> Boxed<'a, Durable>;
}

impl<S: Sink> DynSink for S {
    fn preflight_boxed<'a>(&'a self, wanted: &'a PreflightRequest) -> Boxed<'a, ServerInfo> {
        Box::pin(Sink::preflight(self, wanted))
    }

    fn describe_boxed<'a>(&'a self, table: &'a str) -> Boxed<'a, Option<TableInfo>> {
        Box::pin(Sink::describe(self, table))
    }

    fn object_boxed<'a>(&'a self, name: &'a str) -> Boxed<'a, Option<ObjectInfo>> {
        Box::pin(Sink::object(self, name))
    }

    fn tables_boxed<'a>(&'a self, prefix: &'a str) -> Boxed<'a, Vec<String>> {
        Box::pin(Sink::tables(self, prefix))
    }

    fn create_boxed<'a>(&'a self, definition: &'a TableDefinition) -> Boxed<'a, ()> {
        Box::pin(Sink::create(self, definition))
    }

    fn add_columns_boxed<'a>(&'a self, table: &'a str, fields: &'a [FieldRef]) -> Boxed<'a, ()> {
        Box::pin(Sink::add_columns(self, table, fields))
    }

    fn write_boxed<'a>(&'a self, insert: Insert) -> Boxed<'a, Durable> {
        Box::pin(Sink::write(self, insert))
    }

    fn count_boxed<'a>(&'a self, table: &'a str) -> Boxed<'a, u64> {
        Box::pin(Sink::count(self, table))
    }

    fn publish_boxed<'a>(&'a self, shadow: &'a str, table: &'a str) -> Boxed<'a, Published> {
        Box::pin(Sink::publish(self, shadow, table))
    }

    fn set_merging_boxed<'a>(&'a self, table: &'a str, merging: Merging) -> Boxed<'a, ()> {
        Box::pin(Sink::set_merging(self, table, merging))
    }

    fn truncate_boxed<'a>(&'a self, table: &'a str) -> Boxed<'a, ()> {
        Box::pin(Sink::truncate(self, table))
    }

    fn drop_table_boxed<'a>(&'a self, table: &'a str) -> Boxed<'a, ()> {
        Box::pin(Sink::drop_table(self, table))
    }

    fn read_boxed<'a>(&'a self, table: &'a str) -> Boxed<'a, Vec<RecordBatch>> {
        Box::pin(Sink::read(self, table))
    }

    fn read_where_boxed<'a>(&'a self, selection: &'a Selection) -> Boxed<'a, Option<Vec<RecordBatch>>> {
        Box::pin(self.read_where(selection))
    }

    fn execute_boxed<'a>(&'a self, statement: &'a str) -> Boxed<'a, ()> {
        Box::pin(Sink::execute(self, statement))
    }

    fn query_boxed<'a>(&'a self, statement: &'a str) -> Boxed<'a, Vec<RecordBatch>> {
        Box::pin(Sink::query(self, statement))
    }

    fn write_dead_letters_boxed<'a>(
        &'a self,
        table: &'a str,
        letters: &'a [DeadLetter],
        token: &'a str,
    ) -> Boxed<'a, Durable> {
        Box::pin(Sink::write_dead_letters(self, table, letters, token))
    }
}

impl Sink for dyn DynSink + '_ {
    async fn preflight(&self, wanted: &PreflightRequest) -> Result<ServerInfo> {
        self.preflight_boxed(wanted).await
    }

    async fn describe(&self, table: &str) -> Result<Option<TableInfo>> {
        self.describe_boxed(table).await
    }

    async fn object(&self, name: &str) -> Result<Option<ObjectInfo>> {
        self.object_boxed(name).await
    }

    async fn tables(&self, prefix: &str) -> Result<Vec<String>> {
        self.tables_boxed(prefix).await
    }

    async fn create(&self, definition: &TableDefinition) -> Result<()> {
        self.create_boxed(definition).await
    }

    async fn add_columns(&self, table: &str, fields: &[FieldRef]) -> Result<()> {
        self.add_columns_boxed(table, fields).await
    }

    async fn write(&self, insert: Insert) -> Result<Durable> {
        self.write_boxed(insert).await
    }

    async fn count(&self, table: &str) -> Result<u64> {
        self.count_boxed(table).await
    }

    async fn publish(&self, shadow: &str, table: &str) -> Result<Published> {
        self.publish_boxed(shadow, table).await
    }

    async fn set_merging(&self, table: &str, merging: Merging) -> Result<()> {
        self.set_merging_boxed(table, merging).await
    }

    async fn truncate(&self, table: &str) -> Result<()> {
        self.truncate_boxed(table).await
    }

    async fn drop_table(&self, table: &str) -> Result<()> {
        self.drop_table_boxed(table).await
    }

    async fn read(&self, table: &str) -> Result<Vec<RecordBatch>> {
        self.read_boxed(table).await
    }

    async fn read_where(&self, selection: &Selection) -> Result<Option<Vec<RecordBatch>>> {
        self.read_where_boxed(selection).await
    }

    async fn execute(&self, statement: &str) -> Result<()> {
        self.execute_boxed(statement).await
    }

    async fn query(&self, statement: &str) -> Result<Vec<RecordBatch>> {
        self.query_boxed(statement).await
    }

    async fn write_dead_letters(&self, table: &str, letters: &[DeadLetter], token: &str) -> Result<Durable> {
        self.write_dead_letters_boxed(table, letters, token).await
    }
}

/// Makes a pointer to a sink a sink.
macro_rules! forward {
    ($pointer:ty) => {
        impl<S: Sink + ?Sized> Sink for $pointer {
            fn preflight(
                &self,
                wanted: &PreflightRequest,
            ) -> impl Future<Output = Result<ServerInfo>> + Send {
                (**self).preflight(wanted)
            }

            fn describe(&self, table: &str) -> impl Future<Output = Result<Option<TableInfo>>> + Send {
                (**self).describe(table)
            }

            fn object(&self, name: &str) -> impl Future<Output = Result<Option<ObjectInfo>>> + Send {
                (**self).object(name)
            }

            fn tables(&self, prefix: &str) -> impl Future<Output = Result<Vec<String>>> + Send {
                (**self).tables(prefix)
            }

            fn create(&self, definition: &TableDefinition) -> impl Future<Output = Result<()>> + Send {
                (**self).create(definition)
            }

            fn add_columns(
                &self,
                table: &str,
                fields: &[FieldRef],
            ) -> impl Future<Output = Result<()>> + Send {
                (**self).add_columns(table, fields)
            }

            fn write(&self, insert: Insert) -> impl Future<Output = Result<Durable>> + Send {
                (**self).write(insert)
            }

            fn count(&self, table: &str) -> impl Future<Output = Result<u64>> + Send {
                (**self).count(table)
            }

            fn publish(&self, shadow: &str, table: &str) -> impl Future<Output = Result<Published>> + Send {
                (**self).publish(shadow, table)
            }

            fn set_merging(&self, table: &str, merging: Merging) -> impl Future<Output = Result<()>> + Send {
                (**self).set_merging(table, merging)
            }

            fn truncate(&self, table: &str) -> impl Future<Output = Result<()>> + Send {
                (**self).truncate(table)
            }

            fn drop_table(&self, table: &str) -> impl Future<Output = Result<()>> + Send {
                (**self).drop_table(table)
            }

            fn read(&self, table: &str) -> impl Future<Output = Result<Vec<RecordBatch>>> + Send {
                (**self).read(table)
            }

            fn read_where(
                &self,
                selection: &Selection,
            ) -> impl Future<Output = Result<Option<Vec<RecordBatch>>>> + Send {
                (**self).read_where(selection)
            }

            fn execute(&self, statement: &str) -> impl Future<Output = Result<()>> + Send {
                (**self).execute(statement)
            }

            fn query(&self, statement: &str) -> impl Future<Output = Result<Vec<RecordBatch>>> + Send {
                (**self).query(statement)
            }

            fn write_dead_letters(
                &self,
                table: &str,
                letters: &[DeadLetter],
                token: &str,
            ) -> impl Future<Output = Result<Durable>> + Send {
                (**self).write_dead_letters(table, letters, token)
            }
        }
    };
}

forward!(&S);
forward!(Box<S>);
forward!(Arc<S>);
