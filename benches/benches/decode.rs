//! BSON to record batches, for each shape of document: time a reply, documents and bytes a second.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
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
        let pool = Pool::new(POOL_BYTES).expect("a pool");
        let mut decoder = documents.decoder(&pool);
        group.throughput(Throughput::ElementsAndBytes {
            elements: documents.ranges.len() as u64,
            bytes: documents.bytes.len() as u64,
        });
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut ranges = documents.ranges.iter().cloned();
                while let Some(batch) = decoder
                    .append(&documents.bytes, &mut ranges, &mut |bad| panic!("{bad:?}"))
                    .expect("decodes")
                {
                    black_box(batch);
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
