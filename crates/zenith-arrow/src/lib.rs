//! BSON to Arrow: schema inference, decoding into record batches, rebuilding documents.
