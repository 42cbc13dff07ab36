//! A statement, apart from the protocol that carries it.

/// Bytes of a statement's answer that is not to have a result.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// A statement with its settings.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    /// What is being done, for error messages: "inserting 10 rows into `db`.`t`".
    pub(crate) doing: String,
    pub(crate) sql: String,
    /// What the server calls this query; it makes a name up if there is none.
    pub(crate) query_id: String,
    pub(crate) settings: Vec<(String, String)>,
    /// The values of `{name:Type}` in the statement.
    pub(crate) parameters: Vec<(String, String)>,
    /// Whether names without a database mean the target's.
    pub(crate) in_database: bool,
    /// Whether `String` columns of the result hold any bytes, not only UTF-8.
    pub(crate) binary: bool,
    /// How large the answer may be.
    pub(crate) answer_bytes_max: usize,
}

impl Statement {
    pub(crate) fn new(doing: impl Into<String>, sql: impl Into<String>) -> Statement {
        Statement {
            doing: doing.into(),
            sql: sql.into(),
            query_id: String::new(),
            settings: Vec::new(),
            parameters: Vec::new(),
            in_database: false,
            binary: false,
            answer_bytes_max: ANSWER_BYTES_MAX,
        }
    }

    /// A statement of the user, run in the database of the target.
    pub(crate) fn of_user(sql: &str) -> Statement {
        Statement { in_database: true, ..Statement::new(quoted(sql), sql) }
    }

    /// Gives the query its name.
    pub(crate) fn query_id(self, query_id: String) -> Statement {
        Statement { query_id, ..self }
    }

    /// Adds a setting.
    pub(crate) fn set(mut self, name: &str, value: impl Into<String>) -> Statement {
        self.settings.push((name.to_owned(), value.into()));
        self
    }

    /// Gives `{name:Type}` in the statement its value.
    pub(crate) fn parameter(mut self, name: &str, value: &str) -> Statement {
        self.parameters.push((name.to_owned(), escaped(value)));
        self
    }
}

/// A statement as error messages show it: its beginning, on one line.
fn quoted(sql: &str) -> String {
    const CHARS_MAX: usize = 80;
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("the statement {}…", &line[..end]),
        None => format!("the statement {line}"),
    }
}

/// ClickHouse reads the value of a parameter as an escaped TSV field.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('\t', "\\t")
        .replace('\n', "\\n")
        .replace('\r', "\\r")
        .replace('\0', "\\0")
}
