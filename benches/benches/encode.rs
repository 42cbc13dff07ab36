//! A record batch to the pieces of an Arrow stream, as the transport frames it: metadata is written, bodies are not copied.

use std::hint::black_box;

use arrow_ipc::writer::StreamEncoder;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use zenith_benches::Documents;
use zenith_benches::documents::POOL_BYTES;
use zenith_memory::Pool;
use zenith_testkit::Shape;

/// Enough for a batch as large as the decoder makes them.
const INPUT_BYTES: usize = 24 << 20;

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    for shape in Shape::ALL {
        let pool = Pool::new(POOL_BYTES).expect("a pool");
        let batch = Documents::of(shape, INPUT_BYTES).batch(&pool);
        group.throughput(Throughput::ElementsAndBytes {
            elements: batch.num_rows() as u64,
            bytes: batch.get_array_memory_size() as u64,
        });
        group.bench_function(shape.name(), |bencher| {
            bencher.iter(|| {
                let mut encoder = StreamEncoder::try_new(batch.schema_ref()).expect("a schema");
                let pieces = encoder.encode(&batch).expect("a batch");
                black_box((pieces, encoder.finish().expect("an end")))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, encode);
criterion_main!(benches);
