//! Putting memory of the pool on a TCP socket of the loopback, to a thread that drains it.
//!
//! Two groups of the same measurements: `send/wall`, until the peer has everything, and `send/sender_cpu`, the processor
//! time of the sending thread. On a machine whose cores are all busy the second one decides.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use zenith_benches::sending::{Connection, Cost, Path};

const SIZES: [(&str, usize); 5] = [
    ("64 KiB", 64 << 10),
    ("256 KiB", 256 << 10),
    ("1 MiB", 1 << 20),
    ("4 MiB", 4 << 20),
    ("8 MiB", 8 << 20),
];

fn send(criterion: &mut Criterion) {
    measure(criterion, "send/wall", |cost| cost.wall);
    measure(criterion, "send/sender_cpu", |cost| cost.sender_cpu);
}

fn measure(criterion: &mut Criterion, name: &str, number: fn(Cost) -> Duration) {
    let mut group = criterion.benchmark_group(name);
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(20);
    for (size_name, bytes) in SIZES {
        group.throughput(Throughput::Bytes(bytes as u64));
        for path in Path::ALL {
            let mut connection = Connection::new(bytes);
            group.bench_function(BenchmarkId::new(path.name(), size_name), |bencher| {
                bencher.iter_custom(|count| number(connection.send(path, count)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, send);
criterion_main!(benches);
