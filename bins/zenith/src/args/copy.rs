//! The arguments of `zenith copy`.

use bytesize::ByteSize;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser as _};
use clap::{Args, ValueEnum};
use zenith_engine::transport::SendMode;

const EXAMPLES: &str = "\
Examples:
  See what would be done, without writing anything:
    zenith copy --from mongodb://localhost/shop --collection orders --to http://localhost:8123/shop --dry-run

  Do it; the table `orders` is replaced in one step when all rows are there:
    zenith copy --from mongodb://localhost/shop --collection orders --to http://localhost:8123/shop

  Load what mongodump has written; a folder needs --collection besides:
    zenith copy --from file:dump/shop/orders.bson --to http://localhost:8123/shop

  Keep passwords out of the process list:
    ZENITH_SOURCE=mongodb://user:pass@db/shop ZENITH_TARGET=file:/run/secrets/clickhouse zenith copy --collection orders

Exit codes: 0 copied; 1 failed on the way; 2 something to be mended first, nothing was created; 3 copied, and more
than --max-extra or --max-dead-letters allow did not fit; 130 stopped by a signal.";

/// Copy a whole collection into a table, in one step for those who read the table.
///
/// The columns are inferred from a sample. What fits no column is kept in the column `_zenith_extra` as
/// Extended JSON, and documents that are not valid BSON go to the table `zenith_dead_letters`, so that
/// nothing is lost.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Copy {
    /// MongoDB, as mongodb://HOST:PORT/DB or mongodb+srv://…; file:PATH reads it from a file, or is the dump to load if
    /// PATH is a folder or ends in .bson or .bson.gz
    #[arg(long, value_name = "URI", env = "ZENITH_SOURCE", hide_env_values = true)]
    pub from: String,
    /// The collection to copy [default: of a single file its name]
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub collection: Option<String>,
    /// ClickHouse, as http://USER:PASS@HOST:8123/DB, https://…, clickhouse://HOST:9000/DB (the native protocol) or
    /// clickhouses://…; file:PATH reads it from a file
    #[arg(long, value_name = "URL", env = "ZENITH_TARGET", hide_env_values = true)]
    pub to: String,
    /// The table to fill [default: the name of the collection]
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub table: Option<String>,
    /// How the new rows take the place of the old ones
    #[arg(long, value_enum, default_value_t)]
    pub strategy: Strategy,
    /// Print columns, DDL and plan, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Create the target database if it is not there
    #[arg(long)]
    pub create_database: bool,
    /// Replace the table even if its columns differ from those of the collection (swap only)
    #[arg(long)]
    pub replace: bool,

    /// Memory for data on its way, in all: at least 8MiB
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = super::memory, help_heading = "Tuning")]
    pub memory: ByteSize,
    /// Most rows of one insert [default: 131072]
    #[arg(long, value_name = "N", help_heading = "Tuning")]
    pub batch_rows: Option<usize>,
    /// Scans of the collection side by side [default: by the number of cores and the size of documents]
    #[arg(long, value_name = "N", help_heading = "Tuning")]
    pub readers: Option<usize>,
    /// Inserts under way at the same time [default: 2]
    #[arg(long, value_name = "N", help_heading = "Tuning")]
    pub inserters: Option<usize>,
    /// Documents looked at to infer the columns [default: 10000]
    #[arg(long, value_name = "N", help_heading = "Tuning")]
    pub sample: Option<usize>,

    /// ObjectIds as 24 hex digits or as 12 bytes
    #[arg(long, value_enum, default_value_t, help_heading = "Columns")]
    pub object_id: ObjectId,
    /// Decimal128 as Decimal(38, s) or as its exact text
    #[arg(long, value_enum, default_value_t, help_heading = "Columns")]
    pub decimal: Decimal,
    /// Integers as Int64, or as Int32 where the sample has none beyond it
    #[arg(long, value_enum, default_value_t, help_heading = "Columns")]
    pub integers: Integers,
    /// What a field of several types becomes, where no type has 99 % of its values
    #[arg(long, value_enum, default_value_t, help_heading = "Columns")]
    pub mixed: Mixed,
    /// The same for one field, by its dotted path, as in items.price=text; may be repeated
    #[arg(long, value_name = "PATH=MIXED", value_parser = mixed_field, help_heading = "Columns")]
    pub mixed_field: Vec<(String, Mixed)>,
    /// Byte order of UUIDs of the old binary subtype 3
    #[arg(long, value_enum, default_value_t, help_heading = "Columns")]
    pub uuid_legacy: UuidLegacy,
    /// Tell explicit nulls from missing fields, by noting them in `_zenith_extra`
    #[arg(long, help_heading = "Columns")]
    pub keep_nulls: bool,
    /// What to do with documents that are not valid BSON
    #[arg(long, value_enum, default_value_t, help_heading = "Columns")]
    pub on_bad_document: OnBadDocument,
    /// The table that keeps them
    #[arg(
        long,
        value_name = "NAME",
        default_value = "zenith_dead_letters",
        value_parser = NonEmptyStringValueParser::new(),
        help_heading = "Columns"
    )]
    pub dead_letters: String,
    /// Have ClickHouse sync every insert to disk before acknowledging it
    #[arg(long, help_heading = "Tuning")]
    pub fsync: bool,

    /// Trust the certificate authorities of this PEM file, for targets with TLS
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    pub ca_file: Option<std::path::PathBuf>,
    /// Accept any certificate of a target with TLS: encrypted, but by whomever
    #[arg(long, help_heading = "Connection")]
    pub insecure: bool,
    /// How inserts leave this machine; auto chooses what takes less processor time
    #[arg(
        long,
        value_name = "CALL",
        default_value = "auto",
        value_parser = PossibleValuesParser::new(SendMode::NAMES).try_map(|mode| mode.parse::<SendMode>()),
        help_heading = "Connection"
    )]
    pub send: SendMode,

    #[command(flatten)]
    pub allowed: super::Allowed,
    /// Print one JSON object on standard output, and everything else on standard error
    #[arg(long)]
    pub json: bool,
    /// No progress and no summary
    #[arg(long, short)]
    pub quiet: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Strategy {
    /// Load a shadow table, then exchange the two in one step
    #[default]
    Swap,
    /// Empty the table, then load it in place
    Truncate,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum ObjectId {
    #[default]
    Hex,
    Fixed,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Decimal {
    #[default]
    Decimal,
    String,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Integers {
    #[default]
    Wide,
    Narrow,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, ValueEnum)]
pub enum Mixed {
    /// A column of the type of more than half of the values, and NAME_text beside it; else text
    #[default]
    Twin,
    /// One column of text
    Text,
    /// A column of the most frequent type, the rest in `_zenith_extra`
    Majority,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum UuidLegacy {
    #[default]
    Python,
    Java,
    Csharp,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum OnBadDocument {
    /// Into the table of dead letters, and go on
    #[default]
    Keep,
    /// Fail
    Fail,
}

/// `PATH=MIXED`; keys may have `=` in them.
fn mixed_field(text: &str) -> Result<(String, Mixed), String> {
    let (path, mixed) = text
        .rsplit_once('=')
        .filter(|(path, _)| !path.is_empty())
        .ok_or_else(|| "write it as PATH=text, as in items.price=text".to_owned())?;
    let mixed =
        Mixed::from_str(mixed, false).map_err(|_| format!("{mixed:?} is none of twin, text and majority"))?;
    Ok((path.to_owned(), mixed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_a_path_and_what_it_becomes() {
        assert_eq!(mixed_field("items.price=text"), Ok(("items.price".to_owned(), Mixed::Text)));
        assert_eq!(mixed_field("a=b=majority"), Ok(("a=b".to_owned(), Mixed::Majority)));
        assert!(mixed_field("items.price").unwrap_err().contains("PATH=text"));
        assert!(mixed_field("=text").is_err());
        assert!(mixed_field("price=texts").unwrap_err().contains("twin, text and majority"));
    }
}
