//! BSON to record batches, for each shape of document: time a reply, documents and bytes a second.

use std::hint::black_box;
use std::sync::Arc;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use zenith_arrow::{Mask, Salt, TransformOptions};
use zenith_benches::Documents;
use zenith_benches::documents::POOL_BYTES;
use zenith_memory::Pool;
use zenith_testkit::Shape;

/// About the size of a reply, so that the input is in the cache as often as it is in a run.
const REPLY_BYTES: usize = 4 << 20;

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    let shapes = Shape::ALL.map(|shape| (shape.name().to_owned(), Documents::of(shape, REPLY_BYTES)));
    // Lines of orders that do not fit: none, and one in twenty.
    let orders = [0, 50].map(|odd| (format!("orders-{odd}"), Documents::orders(REPLY_BYTES, odd)));
    for (name, documents) in shapes.into_iter().chain(orders) {
        measure(&mut group, &name, &documents, None);
    }
    // Documents of which something goes, of which something might go, and of which something is hashed.
    let events = Documents::of(Shape::Events, REPLY_BYTES);
    let mask = |mask: Mask| vec![("user".to_owned(), mask)];
    for (name, exclude, mask) in [
        ("events-excluded", "path", Vec::new()),
        ("events-nothing-excluded", "secret", Vec::new()),
        ("events-redacted", "secret", mask(Mask::Redact)),
        ("events-hashed", "secret", mask(Mask::Sha256(Salt::new(b"salt")))),
    ] {
        let options =
            TransformOptions { exclude: vec![exclude.to_owned()], mask, ..TransformOptions::default() };
        measure(&mut group, name, &events, Some(options));
    }
    group.finish();
}

fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    documents: &Documents,
    transforms: Option<TransformOptions>,
) {
    let transform = transforms.and_then(|transforms| transforms.of_rows().expect("paths that can be used"));
    let pool = Pool::new(POOL_BYTES).expect("a pool");
    let mut decoder = documents.decoder(&pool).transformed(transform.map(Arc::new));
    group.throughput(Throughput::ElementsAndBytes {
        elements: documents.ranges.len() as u64,
        bytes: documents.bytes.len() as u64,
    });
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            let mut ranges = documents.ranges.iter().cloned();
            while let Some(batch) =
                decoder.append(&documents.bytes, &mut ranges, &mut |bad| panic!("{bad:?}")).expect("decodes")
            {
                black_box(batch);
            }
        });
    });
}

criterion_group!(benches, decode);
criterion_main!(benches);
