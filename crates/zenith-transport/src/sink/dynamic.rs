//! Any sink behind one type, for sinks chosen at run time.
//!
//! There is nothing to implement here: every [`Sink`] fits into a [`DynSink`], which is a `Sink` again, and so is an
//! `Arc` of either.

use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;

use super::{
    Boxed, Durable, Insert, Merging, ObjectInfo, PreflightRequest, Published, ServerInfo, Sink, TableAdmin,
    TableInfo,
};
use crate::Result;
use crate::ddl::TableDefinition;
use crate::dead_letter::DeadLetter;

/// Any [`Sink`], for the price of one allocation a call. Clones share it.
#[derive(Clone)]
pub struct DynSink(Arc<dyn Erased>);

impl DynSink {
    /// Forgets the type of `sink`.
    pub fn new(sink: impl Sink + 'static) -> DynSink {
        DynSink(Arc::new(sink))
    }
}

impl fmt::Debug for DynSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DynSink")
    }
}

/// Writes what there is to write about every method: boxed, as a sink gives it, and as its users call it.
macro_rules! methods {
    // The type of an argument, its references living as long as is said.
    (@type $life:lifetime & $($referent:tt)+) => { & $life $($referent)+ };
    (@type $life:lifetime $value:ty) => { $value };

    ($($name:ident($($argument:ident: [$($type:tt)+]),*) -> $output:ty;)*) => {
        /// [`Sink`] with boxed futures.
        trait Erased: Send + Sync {
            $(fn $name<'a>(
                &'a self,
                $($argument: methods!(@type 'a $($type)+)),*
            ) -> Boxed<'a, $output>;)*
            fn admin(&self) -> &dyn TableAdmin;
        }

        impl<S: Sink> Erased for S {
            $(fn $name<'a>(
                &'a self,
                $($argument: methods!(@type 'a $($type)+)),*
            ) -> Boxed<'a, $output> {
                Box::pin(Sink::$name(self, $($argument),*))
            })*

            fn admin(&self) -> &dyn TableAdmin {
                Sink::admin(self)
            }
        }

        impl Sink for DynSink {
            $(async fn $name(&self, $($argument: methods!(@type '_ $($type)+)),*) -> Result<$output> {
                Erased::$name(&*self.0, $($argument),*).await
            })*

            fn admin(&self) -> &dyn TableAdmin {
                Erased::admin(&*self.0)
            }
        }

        impl<S: Sink> Sink for Arc<S> {
            $(async fn $name(&self, $($argument: methods!(@type '_ $($type)+)),*) -> Result<$output> {
                Sink::$name(&**self, $($argument),*).await
            })*

            fn admin(&self) -> &dyn TableAdmin {
                Sink::admin(&**self)
            }
        }
    };
}

methods! {
    preflight(wanted: [&PreflightRequest]) -> ServerInfo;
    create(definition: [&TableDefinition]) -> ();
    write(insert: [Insert]) -> Durable;
    ping() -> ();
    count(table: [&str]) -> u64;
    publish(shadow: [&str], table: [&str]) -> Published;
    drop_table(table: [&str]) -> ();
    describe(table: [&str]) -> Option<TableInfo>;
    object(name: [&str]) -> Option<ObjectInfo>;
    tables(prefix: [&str]) -> Vec<String>;
    read(table: [&str]) -> Vec<RecordBatch>;
    truncate(table: [&str]) -> ();
    set_merging(table: [&str], merging: [Merging]) -> ();
    write_dead_letters(table: [&str], letters: [&[DeadLetter]], token: [&str]) -> Durable;
}
