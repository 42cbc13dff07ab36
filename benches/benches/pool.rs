//! The price of memory from the pool: reserving, allocating, freezing, giving back.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use zenith_benches::documents::POOL_BYTES;
use zenith_memory::{GRANULE, Pool};

const SIZES: [(&str, usize); 3] = [("512 B", 512), ("64 KiB", 64 << 10), ("4 MiB", 4 << 20)];

/// What a reply does: one buffer, there and back.
fn one_buffer(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pool");
    for (name, bytes) in SIZES {
        let pool = Pool::new(POOL_BYTES).expect("a pool");
        group.bench_function(format!("one buffer/{name}"), |bencher| {
            bencher.iter(|| {
                let mut reservation = pool.try_reserve(bytes).expect("free memory");
                black_box(reservation.allocate(bytes).expect("a buffer").freeze(bytes));
            });
        });
    }
    group.finish();
}

/// What a batch of a wide table does: one reservation, a buffer for each column, all given back with the batch.
fn columns(criterion: &mut Criterion) {
    const COLUMNS: usize = 200;
    let mut group = criterion.benchmark_group("pool");
    let pool = Pool::new(POOL_BYTES).expect("a pool");
    let bytes = 64 << 10;
    group.bench_function(format!("{COLUMNS} columns of 64 KiB"), |bencher| {
        bencher.iter(|| {
            let mut reservation = pool.try_reserve(COLUMNS * bytes).expect("free memory");
            let column = |_| {
                let mut column = pool.empty_buf();
                column.grow(&mut reservation, bytes, 0).expect("a buffer");
                column.freeze(bytes)
            };
            black_box((0..COLUMNS).map(column).collect::<Vec<_>>());
        });
    });
    group.finish();
}

/// A buffer that grows, with room behind it and without.
fn growing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pool");
    for (name, blocked) in [("in place", false), ("by moving", true)] {
        let pool = Pool::new(POOL_BYTES).expect("a pool");
        group.bench_function(format!("grow 64 KiB to 128 KiB {name}"), |bencher| {
            bencher.iter_batched(
                || {
                    let mut reservation = pool.try_reserve(512 << 10).expect("free memory");
                    let buffer = reservation.allocate(64 << 10).expect("a buffer");
                    let blocker = blocked.then(|| reservation.allocate(GRANULE).expect("a buffer"));
                    (reservation, buffer, blocker)
                },
                |(mut reservation, mut buffer, blocker)| {
                    buffer.grow(&mut reservation, 128 << 10, 64 << 10).expect("room");
                    (reservation, buffer, blocker)
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, one_buffer, columns, growing);
criterion_main!(benches);
