//! Writes BSON into a byte vector, in one pass, without a document in memory.
//!
//! Only the types the generators use. What is written is BSON 1.1 (bsonspec.org); nothing checks that a name is used once.

use zenith_bson::tag;

/// Writes the elements of one document at the end of a byte vector.
///
/// ```
/// # use zenith_testkit::data::bson_writer::DocumentWriter;
/// let mut bytes = Vec::new();
/// let mut document = DocumentWriter::begin(&mut bytes);
/// document.string("name", "Aruba");
/// document.document("size", |size| size.int32("km2", 180));
/// document.end();
/// let document = bson::RawDocument::from_bytes(&bytes).unwrap();
/// assert_eq!(document.get_str("name").unwrap(), "Aruba");
/// ```
#[derive(Debug)]
pub struct DocumentWriter<'a> {
    bytes: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> DocumentWriter<'a> {
    /// Begins a document; it is complete with [`end`](Self::end).
    pub fn begin(bytes: &'a mut Vec<u8>) -> Self {
        let start = bytes.len();
        bytes.extend_from_slice(&[0; 4]);
        Self { bytes, start }
    }

    /// Writes the end and fills in the length.
    ///
    /// # Panics
    ///
    /// If the document is longer than BSON can say (2 GiB).
    pub fn end(self) {
        self.bytes.push(0);
        let length =
            i32::try_from(self.bytes.len() - self.start).expect("a test document is smaller than 2 GiB");
        self.bytes[self.start..self.start + 4].copy_from_slice(&length.to_le_bytes());
    }

    fn element(&mut self, kind: u8, name: &str) -> &mut Vec<u8> {
        self.bytes.push(kind);
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.bytes
    }

    /// A double.
    pub fn double(&mut self, name: &str, value: f64) {
        self.element(tag::DOUBLE, name).extend_from_slice(&value.to_le_bytes());
    }

    /// A string.
    ///
    /// # Panics
    ///
    /// If it is longer than BSON can say (2 GiB).
    pub fn string(&mut self, name: &str, value: &str) {
        let bytes = self.element(tag::STRING, name);
        let length = i32::try_from(value.len() + 1).expect("a test string is smaller than 2 GiB");
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
    }

    /// A document, whose elements `write` adds.
    pub fn document(&mut self, name: &str, write: impl FnOnce(&mut DocumentWriter<'_>)) {
        self.nested(tag::DOCUMENT, name, write);
    }

    /// An array of `count` entries; `write` adds the entry of the given number under the given name.
    pub fn array(
        &mut self,
        name: &str,
        count: usize,
        mut write: impl FnMut(&mut DocumentWriter<'_>, usize, &str),
    ) {
        self.nested(tag::ARRAY, name, |array| {
            for number in 0..count {
                write(array, number, decimal(number, &mut [0; 20]));
            }
        });
    }

    fn nested(&mut self, kind: u8, name: &str, write: impl FnOnce(&mut DocumentWriter<'_>)) {
        let mut inner = DocumentWriter::begin(self.element(kind, name));
        write(&mut inner);
        inner.end();
    }

    /// An ObjectId.
    pub fn object_id(&mut self, name: &str, value: [u8; 12]) {
        self.element(tag::OBJECT_ID, name).extend_from_slice(&value);
    }

    /// A boolean.
    pub fn bool(&mut self, name: &str, value: bool) {
        self.element(tag::BOOLEAN, name).push(u8::from(value));
    }

    /// A date: milliseconds from the Unix epoch.
    pub fn date(&mut self, name: &str, value_ms: i64) {
        self.element(tag::DATE, name).extend_from_slice(&value_ms.to_le_bytes());
    }

    /// A 32-bit integer.
    pub fn int32(&mut self, name: &str, value: i32) {
        self.element(tag::INT32, name).extend_from_slice(&value.to_le_bytes());
    }

    /// A 64-bit integer.
    pub fn int64(&mut self, name: &str, value: i64) {
        self.element(tag::INT64, name).extend_from_slice(&value.to_le_bytes());
    }

    /// An array whose entries `write` adds, naming each by its number.
    pub(super) fn raw_array(&mut self, name: &str, write: impl FnOnce(&mut DocumentWriter<'_>)) {
        self.nested(tag::ARRAY, name, write);
    }

    /// A document that `append` appends as finished BSON; its size in bytes.
    pub(super) fn appended_document(&mut self, name: &str, append: impl FnOnce(&mut Vec<u8>)) -> usize {
        let bytes = self.element(tag::DOCUMENT, name);
        let before = bytes.len();
        append(bytes);
        bytes.len() - before
    }
}

/// A number in decimal, as arrays name their entries, without allocating.
pub(super) fn decimal(mut number: usize, digits: &mut [u8; 20]) -> &str {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        if number == 0 {
            break;
        }
    }
    std::str::from_utf8(&digits[start..]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::{Document, doc, oid::ObjectId};

    #[test]
    fn every_type_reads_back() {
        let mut bytes = Vec::new();
        let mut document = DocumentWriter::begin(&mut bytes);
        document.object_id("_id", [7; 12]);
        document.double("double", -0.5);
        document.string("string", "né");
        document.bool("bool", true);
        document.date("date", -1);
        document.int32("int32", i32::MIN);
        document.int64("int64", i64::MAX);
        document.document("empty", |_| ());
        document.array("array", 12, |array, number, name| {
            array.int32(name, i32::try_from(number).unwrap());
        });
        document.end();
        let read = Document::from_reader(bytes.as_slice()).unwrap();
        let expected = doc! {
            "_id": ObjectId::from_bytes([7; 12]), "double": -0.5, "string": "né", "bool": true,
            "date": bson::DateTime::from_millis(-1), "int32": i32::MIN, "int64": i64::MAX, "empty": {},
            "array": (0..12).collect::<Vec<i32>>(),
        };
        assert_eq!(read, expected);
    }
}
