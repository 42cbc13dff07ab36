//! The file that `zenith init` writes: everything there is to say, with what it means.

/// A configuration that is nearly ready to be applied.
pub const TEMPLATE: &str = r#"# Zenith: which MongoDB collections become which ClickHouse tables.
#
#   zenith check     looks at both ends and says what is missing
#   zenith apply     shows what changes, and takes it over
#   zenith run       keeps the tables in step until stopped
#
# Secrets do not belong into this file. ${NAME} is an environment variable, ${file:PATH} what a file holds, and an
# address may be "file:PATH" as a whole. They are read when they are needed; the state keeps the references only.

# Databases that are read. The database in the address is the one whose collections pipelines name.
[sources.shop]
uri = "mongodb://app:${MONGO_PASSWORD}@localhost:27017/shop?replicaSet=rs0"

# Databases that are written: http://, https://, or clickhouse://HOST:9000 and clickhouses:// for the native protocol.
[targets.warehouse]
uri = "http://default:${CLICKHOUSE_PASSWORD}@localhost:8123/shop"
# ca_file = "/etc/ssl/our-authority.pem"   # with TLS: certificate authorities to trust
# insecure = false                         # with TLS: accept any certificate
# send = "auto"                            # how inserts leave this machine: auto, writev, sendfile, splice

# One collection and its table. The name is yours; commands use it.
[pipelines.orders]
source = "shop"
target = "warehouse"
collection = "orders"            # or "database.collection"
# table = "orders"               # the name of the collection if left out
# view = "orders_current"        # changes: shows the documents as they are now; the table's name and _current if left out
mode = "changes"                 # changes     the table holds each document as it is now (needs a replica set)
                                 # change-log  one row for each change
                                 # id-cursor   new documents by ascending _id, for collections that only grow
                                 # full        the whole collection, each time it runs
# flush_interval = "200ms"       # the longest a change waits for others before it is inserted
# flush_rows = 65536             # changes that are inserted without waiting
# on_drop = "stop"               # when the collection goes away: stop, truncate, ignore
# on_history_lost = "stop"       # when MongoDB no longer has the changes: stop, reload
# on_bad_document = "keep"       # documents that cannot be decoded: keep (as dead letters), fail
# dead_letters = "zenith_dead_letters"   # the table that keeps them
# integers = "wide"              # Int64; "narrow": Int32 where the sample has none beyond it
# mixed = "twin"                 # fields of several types: twin (a column of text beside theirs), text, majority
# [pipelines.orders.mixed_fields]        # the same for single fields, by their path
# "items.price" = "text"

# Memory for data on its way, of all pipelines together.
[memory]
buffer = "64MiB"

# Where Zenith remembers what was applied and how far each pipeline has come; ~/.local/state/zenith/state.sqlite
# if left out. --state and ZENITH_STATE count more.
# [state]
# path = "/var/lib/zenith/state.sqlite"
"#;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::TEMPLATE;
    use crate::config::file;

    /// The template with all its commented settings switched on.
    fn everything() -> String {
        let uncommented = |line: &str| {
            let is_setting = line.split_once(" = ").is_some_and(|(name, _)| {
                name.strip_prefix("# ").is_some_and(|name| {
                    name.chars().all(|letter| letter == '_' || letter.is_ascii_lowercase())
                })
            });
            if is_setting || line == "# [state]" { line[2..].to_owned() } else { line.to_owned() }
        };
        TEMPLATE.lines().map(uncommented).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn it_can_be_applied_as_it_is_and_with_everything_in_it() {
        let config = file::parse(TEMPLATE, Path::new("zenith.toml")).unwrap();
        let all = file::parse(&everything(), Path::new("zenith.toml")).unwrap();
        assert_eq!(config.pipelines.len(), 1);
        // What stands in the comments are the defaults.
        let (mut shown, stated) = (all.pipelines["orders"].clone(), &config.pipelines["orders"]);
        assert_eq!(shown.settings.table, "orders");
        shown.settings.table.clear();
        assert_eq!(shown.settings.view, "orders_current");
        shown.settings.view.clear();
        assert_eq!(&shown, stated);
        assert!(all.process.state.is_some() && all.targets["warehouse"].options.ca_file.is_some());
    }
}
