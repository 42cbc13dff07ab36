//! The user's additions to a table: parsed from its `CREATE TABLE`, and given to a table that takes its place.
//!
//! ```text
//! CREATE TABLE d.t (`a` Int64 COMMENT 'x' CODEC(ZSTD(3)) TTL b + toIntervalDay(1), INDEX i a TYPE minmax GRANULARITY 1)
//! ENGINE = MergeTree PARTITION BY m PRIMARY KEY a ORDER BY a SAMPLE BY a TTL b + toIntervalDay(9) SETTINGS x = 1
//! ```
//!
//! The text is the one of `system.tables`, in which ClickHouse spells everything one way. Nothing is understood of the
//! expressions: they are passed on as they are written.

use std::collections::{BTreeMap, BTreeSet};

use super::pieces::{Piece, pieces};
use super::{identifier, unquoted};

/// The user's additions to a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Additions {
    /// Columns that have more than a type, with their names.
    pub columns: Vec<(String, ColumnAdditions)>,
    /// Indices, projections and constraints, in their order.
    pub elements: Vec<Element>,
    /// The engine, where it is another one than that of the definition. It is not read from a table.
    pub engine: Option<String>,
    /// The expression after `ORDER BY`, where it is another one than that of the definition. It is not read from a table.
    pub order_by: Option<String>,
    /// The expression after `PARTITION BY`.
    pub partition_by: Option<String>,
    /// The expression after `PRIMARY KEY`.
    pub primary_key: Option<String>,
    /// The expression after `SAMPLE BY`.
    pub sample_by: Option<String>,
    /// The expressions after `TTL`.
    pub ttl: Option<String>,
    /// Settings, with their values as they are written.
    pub settings: BTreeMap<String, String>,
}

/// The clauses after the type of a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnAdditions {
    /// The type.
    pub data_type: String,
    /// As in `MATERIALIZED toDate(at)`.
    pub default: Option<String>,
    /// As in `COMMENT 'x'`.
    pub comment: Option<String>,
    /// As in `CODEC(ZSTD(3))`.
    pub codec: Option<String>,
    /// As in `STATISTICS(minmax)`.
    pub statistics: Option<String>,
    /// The expression after `TTL`.
    pub ttl: Option<String>,
    /// As in `SETTINGS (max_compress_block_size = 1)`.
    pub settings: Option<String>,
}

/// An index, a projection or a constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// As in `index i`.
    pub name: String,
    /// As in `INDEX i a TYPE minmax GRANULARITY 1`.
    pub sql: String,
}

impl ColumnAdditions {
    fn is_empty(&self) -> bool {
        *self == ColumnAdditions { data_type: self.data_type.clone(), ..ColumnAdditions::default() }
    }

    /// A column as `CREATE TABLE` has it behind its name, as in `Decimal(18, 4) CODEC(ZSTD(1))`; `None` if it is written in a
    /// way that is not known here.
    #[must_use]
    pub fn parse(text: &str) -> Option<ColumnAdditions> {
        column(text, &pieces(text)?)
    }

    /// The clauses after the type, with `comment` where the column has none of its own.
    pub(super) fn to_sql(&self, comment: Option<&String>) -> String {
        let ttl = self.ttl.as_ref().map(|ttl| format!("TTL {ttl}"));
        let parts = [
            self.default.as_ref(),
            self.comment.as_ref().or(comment),
            self.codec.as_ref(),
            self.statistics.as_ref(),
            ttl.as_ref(),
            self.settings.as_ref(),
        ];
        parts.into_iter().flatten().fold(String::new(), |sql, part| sql + " " + part)
    }
}

impl Additions {
    /// The parts of a `CREATE TABLE` of `system.tables` other than columns, engine, sorting key and comment.
    ///
    /// `None` if it is written in a way that is not known here.
    #[must_use]
    pub fn parse(create_table: &str) -> Option<Additions> {
        let all = pieces(create_table)?;
        let columns = all.iter().position(|piece| matches!(piece.what, Piece::Group(_)))?;
        let Piece::Group(list) = all.get(columns)?.what else { return None };
        let mut additions = Additions::default();
        for declaration in split(list)? {
            additions.declaration(declaration)?;
        }
        let clauses = clauses(create_table, all.get(columns + 1..)?);
        if !clauses.contains_key("ENGINE") {
            return None;
        }
        let text = |name: &str| clauses.get(name).map(|text| (*text).to_owned());
        additions.partition_by = text("PARTITION BY");
        additions.primary_key = text("PRIMARY KEY");
        additions.sample_by = text("SAMPLE BY");
        additions.ttl = text("TTL");
        for setting in clauses.get("SETTINGS").map_or_else(|| Some(Vec::new()), |text| split(text))? {
            let (name, value) = setting.split_once('=')?;
            additions.settings.insert(name.trim().to_owned(), value.trim().to_owned());
        }
        Some(additions)
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Additions::default()
    }

    /// One more of them at a time until all are there, each with the name of the last one in words.
    ///
    /// The first that a table cannot be created with is the one that is in the way.
    #[must_use]
    pub fn steps(&self) -> Vec<(String, Additions)> {
        let mut steps = Vec::new();
        let mut so_far = Additions::default();
        let mut step = |name: String, add: &dyn Fn(&mut Additions)| {
            add(&mut so_far);
            steps.push((name, so_far.clone()));
        };
        for (name, value) in &self.settings {
            step(format!("the setting {name} = {value}"), &|to| {
                to.settings.insert(name.clone(), value.clone());
            });
        }
        for (name, column) in &self.columns {
            let what = column.to_sql(None);
            step(format!("{} of the column {name}", what.trim()), &|to| {
                to.columns.push((name.clone(), column.clone()));
            });
        }
        for element in &self.elements {
            step(format!("the {}", element.name), &|to| to.elements.push(element.clone()));
        }
        type Clause = fn(&mut Additions) -> &mut Option<String>;
        let clauses: [(&str, &Option<String>, Clause); 6] = [
            ("ENGINE", &self.engine, |to| &mut to.engine),
            // Before others, as the primary key is a part of it.
            ("ORDER BY", &self.order_by, |to| &mut to.order_by),
            ("PARTITION BY", &self.partition_by, |to| &mut to.partition_by),
            ("PRIMARY KEY", &self.primary_key, |to| &mut to.primary_key),
            ("SAMPLE BY", &self.sample_by, |to| &mut to.sample_by),
            ("TTL", &self.ttl, |to| &mut to.ttl),
        ];
        for (name, clause, of) in clauses {
            if let Some(sql) = clause {
                step(format!("{name} {sql}"), &|to| *of(to) = Some(sql.clone()));
            }
        }
        steps
    }

    /// The additions to a column: everything but its type.
    pub(super) fn column(&self, name: &str) -> Option<&ColumnAdditions> {
        self.columns.iter().find(|(column, _)| column == name).map(|(_, column)| column)
    }

    /// Whether rows or values expire.
    #[must_use]
    pub fn has_ttl(&self) -> bool {
        self.ttl.is_some() || self.columns.iter().any(|(_, column)| column.ttl.is_some())
    }

    /// The changes of `ALTER TABLE` that take all `TTL` away; `None` if there is none.
    #[must_use]
    pub fn without_ttl(&self) -> Option<String> {
        let columns = self.columns.iter().filter(|(_, column)| column.ttl.is_some());
        let mut changes: Vec<String> =
            columns.map(|(name, _)| format!("MODIFY COLUMN {} REMOVE TTL", identifier(name))).collect();
        changes.extend(self.ttl.as_ref().map(|_| "REMOVE TTL".to_owned()));
        (!changes.is_empty()).then(|| changes.join(", "))
    }

    /// The changes of `ALTER TABLE` that put all `TTL` back; `None` if there is none.
    #[must_use]
    pub fn with_ttl(&self) -> Option<String> {
        let mut changes: Vec<String> = Vec::new();
        for (name, column) in &self.columns {
            changes.extend(
                column.ttl.as_ref().map(|ttl| format!("MODIFY COLUMN {} TTL {ttl}", identifier(name))),
            );
        }
        // The table's comes last: a comma behind it would begin another of its expressions.
        changes.extend(self.ttl.as_ref().map(|ttl| format!("MODIFY TTL {ttl}")));
        (!changes.is_empty()).then(|| changes.join(", "))
    }

    fn declaration(&mut self, text: &str) -> Option<()> {
        let pieces = pieces(text)?;
        let first = pieces.first()?;
        match first.what {
            Piece::Quoted(quoted) if quoted.starts_with('`') => {
                let (name, _) = unquoted(quoted)?;
                let column = column(text, pieces.get(1..)?)?;
                if !column.is_empty() {
                    self.columns.push((name, column));
                }
            }
            Piece::Word(kind @ ("INDEX" | "PROJECTION" | "CONSTRAINT")) => {
                let second = pieces.get(1)?;
                let name = match second.what {
                    Piece::Word(name) => name.to_owned(),
                    Piece::Quoted(quoted) => unquoted(quoted)?.0,
                    Piece::Group(_) | Piece::Sign(_) => return None,
                };
                let name = format!("{} {name}", kind.to_lowercase());
                self.elements.push(Element { name, sql: text.to_owned() });
            }
            _ => return None,
        }
        Some(())
    }
}

/// A column behind its name.
fn column(text: &str, pieces: &[super::pieces::At<'_>]) -> Option<ColumnAdditions> {
    /// In the order in which they are written.
    const PARTS: [&str; 9] = [
        "DEFAULT",
        "MATERIALIZED",
        "ALIAS",
        "EPHEMERAL",
        "COMMENT",
        "CODEC",
        "STATISTICS",
        "TTL",
        "SETTINGS",
    ];
    let Piece::Word(_) = pieces.first()?.what else { return None };
    let end_of_type = match pieces.get(1) {
        Some(arguments) if matches!(arguments.what, Piece::Group(_)) => 2,
        _ => 1,
    };
    let start = pieces.first()?.start;
    let until = pieces.get(end_of_type).map_or(text.len(), |piece| piece.start);
    let mut column = ColumnAdditions {
        data_type: text.get(start..until)?.trim().to_owned(),
        ..ColumnAdditions::default()
    };
    let mut marks: Vec<(usize, usize)> = Vec::new();
    for (index, piece) in pieces.iter().enumerate().skip(end_of_type) {
        let Piece::Word(word) = piece.what else { continue };
        let Some(part) = PARTS.iter().position(|part| *part == word) else { continue };
        let next = pieces.get(index + 1).map(|piece| piece.what);
        // In an expression before it, the word would be a column's name.
        let fits = match word {
            "COMMENT" => matches!(next, Some(Piece::Quoted(_))),
            "CODEC" | "STATISTICS" | "SETTINGS" => matches!(next, Some(Piece::Group(_))),
            _ => true,
        };
        if fits && marks.last().is_none_or(|(before, _)| *before < part) {
            marks.push((part, piece.start));
        }
    }
    if marks.first().map(|(_, start)| *start) != pieces.get(end_of_type).map(|piece| piece.start) {
        return None;
    }
    for (index, (part, start)) in marks.iter().enumerate() {
        let end = marks.get(index + 1).map_or(text.len(), |(_, start)| *start);
        let sql = text.get(*start..end)?.trim().to_owned();
        match *PARTS.get(*part)? {
            "COMMENT" => column.comment = Some(sql),
            "CODEC" => column.codec = Some(sql),
            "STATISTICS" => column.statistics = Some(sql),
            "TTL" => column.ttl = Some(sql.strip_prefix("TTL")?.trim().to_owned()),
            "SETTINGS" => column.settings = Some(sql),
            _ => column.default = Some(sql),
        }
    }
    Some(column)
}

/// The clauses behind the list of columns, by their words.
fn clauses<'t>(text: &'t str, pieces: &[super::pieces::At<'t>]) -> BTreeMap<&'static str, &'t str> {
    const CLAUSES: [(&str, &str, Option<&str>); 8] = [
        ("ENGINE", "ENGINE", None),
        ("PARTITION BY", "PARTITION", Some("BY")),
        ("PRIMARY KEY", "PRIMARY", Some("KEY")),
        ("ORDER BY", "ORDER", Some("BY")),
        ("SAMPLE BY", "SAMPLE", Some("BY")),
        ("TTL", "TTL", None),
        ("SETTINGS", "SETTINGS", None),
        ("COMMENT", "COMMENT", None),
    ];
    let mut marks: Vec<(usize, usize, usize)> = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let Piece::Word(word) = piece.what else { continue };
        let Some(clause) = CLAUSES.iter().position(|(_, first, _)| *first == word) else { continue };
        let last = match CLAUSES.get(clause).and_then(|(_, _, second)| *second) {
            None => Some(piece),
            Some(second) => pieces.get(index + 1).filter(|next| next.what == Piece::Word(second)),
        };
        if let Some(last) = last
            && marks.last().is_none_or(|(before, ..)| *before < clause)
        {
            marks.push((clause, piece.start, last.end));
        }
    }
    let mut clauses = BTreeMap::new();
    for (index, (clause, _, start)) in marks.iter().enumerate() {
        let end = marks.get(index + 1).map_or(text.len(), |(_, start, _)| *start);
        if let (Some((name, ..)), Some(sql)) = (CLAUSES.get(*clause), text.get(*start..end)) {
            clauses.insert(*name, sql.trim());
        }
    }
    clauses
}

/// The expressions of a list, which commas divide.
#[must_use]
pub fn expressions(list: &str) -> Option<Vec<&str>> {
    split(list).filter(|all| all.iter().all(|each| !each.is_empty()))
}

/// Words of expressions that are no names, as they are usually written, unless they stand alone.
const KEYWORDS: [&str; 24] = [
    "AND", "AS", "BETWEEN", "CASE", "DAY", "DIV", "ELSE", "END", "HOUR", "IN", "INTERVAL", "IS", "LIKE",
    "MINUTE", "MOD", "MONTH", "NOT", "OR", "QUARTER", "SECOND", "THEN", "WEEK", "WHEN", "YEAR",
];
/// Words that are values.
const CONSTANTS: [&str; 3] = ["NULL", "true", "false"];

/// The names in an expression that may be those of columns: no functions, and no parts of tuples.
#[must_use]
pub fn names_in(expression: &str) -> BTreeSet<String> {
    if let Some(parts) = split(expression).filter(|parts| parts.len() > 1) {
        return parts.into_iter().flat_map(names_in).collect();
    }
    let (mut names, mut is_part) = (BTreeSet::new(), false);
    let all = pieces(expression).unwrap_or_default();
    for (index, piece) in all.iter().enumerate() {
        let next = all.get(index + 1).map(|next| next.what);
        match piece.what {
            Piece::Group(inside) => names.extend(names_in(inside)),
            Piece::Word(word)
                if CONSTANTS.contains(&word)
                    || (all.len() > 1 && KEYWORDS.contains(&word))
                    || word.starts_with(|digit: char| digit.is_ascii_digit()) => {}
            Piece::Word(word) if !is_part && !matches!(next, Some(Piece::Group(_))) => {
                names.insert(word.to_owned());
            }
            Piece::Quoted(quoted) if !is_part && !quoted.starts_with('\'') => {
                names.extend(unquoted(quoted).map(|(name, _)| name));
            }
            _ => {}
        }
        is_part = piece.what == Piece::Sign('.');
    }
    names
}

/// The parts between commas.
fn split(list: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let mut start = 0;
    for piece in pieces(list)? {
        if piece.what == Piece::Sign(',') {
            parts.push(list.get(start..piece.start)?.trim());
            start = piece.end;
        }
    }
    parts.push(list.get(start..)?.trim());
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As ClickHouse 26.7 has it.
    const TABLE: &str = "CREATE TABLE shop.`or``ders` (`_id` Int64, `name` Nullable(String) DEFAULT 'x' COMMENT 'it\\'s, a \
        (name)', `n` Nullable(Int32) CODEC(Delta(4), ZSTD(3)) STATISTICS(minmax) TTL d + toIntervalDay(1), `t` Tuple(a \
        Nullable(Int32), `b c` String) SETTINGS (max_compress_block_size = 1000), `d` Date MATERIALIZED toDate(`when`), `al` \
        String ALIAS concat(name, 'COMMENT TTL'), INDEX i n TYPE minmax GRANULARITY 2, INDEX `odd name` (n, name) TYPE \
        bloom_filter(0.01) GRANULARITY 1, CONSTRAINT c CHECK n > -5, PROJECTION p (SELECT name, count() GROUP BY name)) \
        ENGINE = ReplacingMergeTree(_zenith_version, _zenith_deleted) PARTITION BY toYYYYMM(d) ORDER BY _id TTL d + \
        toIntervalYear(10) WHERE n = 4, d + toIntervalDay(9) RECOMPRESS CODEC(ZSTD(9)) SETTINGS index_granularity = 8192, \
        deduplicate_merge_projection_mode = 'drop' COMMENT 'Copied, TTL x SETTINGS y = 1'";

    #[test]
    fn words_that_stand_alone_are_columns() {
        let names = |expression: &str| names_in(expression).into_iter().collect::<Vec<_>>();
        assert_eq!(names("tenant, YEAR, _id"), ["YEAR", "_id", "tenant"]);
        assert_eq!(names("(toDate(DAY), `MONTH`)"), ["DAY", "MONTH"]);
        assert_eq!(names("toStartOfInterval(at, INTERVAL 1 DAY)"), ["at"]);
        assert_eq!(names("if(a IS NULL, true, 5)"), ["a"]);
    }

    #[test]
    fn everything_is_found() {
        let found = Additions::parse(TABLE).unwrap();
        let column = |name: &str| found.column(name).unwrap().clone();
        let all: Vec<_> = found.columns.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(all, ["name", "n", "t", "d", "al"]);
        assert_eq!(column("name").to_sql(None), " DEFAULT 'x' COMMENT 'it\\'s, a (name)'");
        assert_eq!(
            column("n").to_sql(Some(&"COMMENT 'ours'".to_owned())),
            " COMMENT 'ours' CODEC(Delta(4), ZSTD(3)) STATISTICS(minmax) TTL d + toIntervalDay(1)"
        );
        assert_eq!(column("t").to_sql(None), " SETTINGS (max_compress_block_size = 1000)");
        assert_eq!(column("t").data_type, "Tuple(a Nullable(Int32), `b c` String)");
        assert_eq!(column("d").to_sql(None), " MATERIALIZED toDate(`when`)");
        assert_eq!(column("al").to_sql(None), " ALIAS concat(name, 'COMMENT TTL')");
        let names: Vec<_> = found.elements.iter().map(|element| element.name.as_str()).collect();
        assert_eq!(names, ["index i", "index odd name", "constraint c", "projection p"]);
        assert_eq!(found.elements[2].sql, "CONSTRAINT c CHECK n > -5");
        assert_eq!(found.partition_by.as_deref(), Some("toYYYYMM(d)"));
        assert_eq!(found.primary_key, None);
        assert_eq!(
            found.ttl.as_deref(),
            Some("d + toIntervalYear(10) WHERE n = 4, d + toIntervalDay(9) RECOMPRESS CODEC(ZSTD(9))")
        );
        assert_eq!(found.settings["deduplicate_merge_projection_mode"], "'drop'");
        assert_eq!(found.settings.len(), 2);
        assert_eq!(found.without_ttl().unwrap(), "MODIFY COLUMN `n` REMOVE TTL, REMOVE TTL",);
        assert!(
            found
                .with_ttl()
                .unwrap()
                .starts_with("MODIFY COLUMN `n` TTL d + toIntervalDay(1), MODIFY TTL d + ")
        );
        let steps = found.steps();
        assert_eq!(steps.len(), 2 + 5 + 4 + 2);
        assert_eq!(steps.last().unwrap().1, found);
    }

    #[test]
    fn expressions_name_columns() {
        let names = |text: &str| names_in(text).into_iter().collect::<Vec<_>>();
        assert_eq!(names("toDate(created_at)"), ["created_at"]);
        assert_eq!(names("toStartOfInterval(at, INTERVAL 4 DAY) + n % 16"), ["at", "n"]);
        assert_eq!(
            names("(tenant_id, `odd name`, device.os, 'text', f(a, g(b)))"),
            ["a", "b", "device", "odd name", "tenant_id"]
        );
        assert_eq!(expressions("a, toDate(b, 'UTC'), `c,d`"), Some(vec!["a", "toDate(b, 'UTC')", "`c,d`"]));
        assert_eq!((expressions("a,, b"), expressions("a)"), expressions("")), (None, None, None));
        let column = ColumnAdditions::parse("Decimal(18, 4) CODEC(ZSTD(1))").unwrap();
        assert_eq!(
            (column.data_type.as_str(), column.codec.as_deref()),
            ("Decimal(18, 4)", Some("CODEC(ZSTD(1))"))
        );
    }

    #[test]
    fn a_plain_table_has_nothing_and_other_texts_are_not_understood() {
        let plain = "CREATE TABLE d.t (`_id` String, `x` Map(String, Int8)) ENGINE = MergeTree ORDER BY _id COMMENT 'c'";
        assert_eq!(Additions::parse(plain), Some(Additions::default()));
        assert!(Additions::default().is_empty() && Additions::default().with_ttl().is_none());
        for text in [
            "",
            "CREATE TABLE d.t (`a` Int8",
            "CREATE TABLE d.t (`a` Int8 NEW 1) ENGINE = MergeTree ORDER BY a",
        ] {
            assert_eq!(Additions::parse(text), None, "{text}");
        }
    }
}
