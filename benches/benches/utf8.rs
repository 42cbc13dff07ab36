//! Checking that text is UTF-8: the standard library and simdutf8, string by string and a whole column at once.
//!
//! Why it matters: BSON promises UTF-8 and servers do not enforce it, and ClickHouse and Arrow take it on trust.

use std::hint::black_box;
use std::ops::Range;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// About a column of a batch.
const COLUMN_BYTES: usize = 1 << 20;

/// Texts one after another, as in the values buffer of a column.
struct Column {
    bytes: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

impl Column {
    /// Words until the column is full; every text has about this many bytes.
    fn of(text_bytes: usize, words: &[&str]) -> Column {
        let mut column = Column { bytes: Vec::new(), ranges: Vec::new() };
        let mut words = words.iter().cycle();
        while column.bytes.len() < COLUMN_BYTES {
            let start = column.bytes.len();
            while column.bytes.len() - start < text_bytes {
                column.bytes.extend(words.next().into_iter().flat_map(|word| word.bytes()));
            }
            column.ranges.push(start..column.bytes.len());
        }
        column
    }

    fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.ranges.iter().map(|range| &self.bytes[range.clone()])
    }
}

fn utf8(criterion: &mut Criterion) {
    let ascii = ["river/", "mountain-", "signal ", "0123abcd", "?ref="];
    let mixed = ["river ", "naïve ", "日本 ", "Straße ", "garden "];
    let mut group = criterion.benchmark_group("utf8");
    for (name, words) in [("ascii", &ascii), ("mixed", &mixed)] {
        for text_bytes in [12, 40, 2_000] {
            let column = Column::of(text_bytes, words);
            group.throughput(Throughput::ElementsAndBytes {
                elements: column.ranges.len() as u64,
                bytes: column.bytes.len() as u64,
            });
            let id = |how: &str| format!("{how}/{name}/{text_bytes}");
            group.bench_function(id("std each"), |bencher| {
                bencher.iter(|| column.texts().all(|text| std::str::from_utf8(black_box(text)).is_ok()));
            });
            group.bench_function(id("simdutf8 each"), |bencher| {
                bencher
                    .iter(|| column.texts().all(|text| simdutf8::basic::from_utf8(black_box(text)).is_ok()));
            });
            group.bench_function(id("std column"), |bencher| {
                bencher.iter(|| std::str::from_utf8(black_box(&column.bytes)).is_ok());
            });
            group.bench_function(id("simdutf8 column"), |bencher| {
                bencher.iter(|| simdutf8::basic::from_utf8(black_box(&column.bytes)).is_ok());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, utf8);
criterion_main!(benches);
