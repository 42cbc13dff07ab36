//! Reading MongoDB: the Source trait, collection scans, partitions.
