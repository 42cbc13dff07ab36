//! Documents to copy: generated, the same for the same seed, or taken from published data sets.
//!
//! | part | what it gives |
//! | --- | --- |
//! | [`shape`] | documents of a chosen shape, each a function of seed and number |
//! | [`events`] | the standard collection of the measurements |
//! | [`load`] | puts them into MongoDB as fast as it takes them |
//! | [`dump`] | writes them to files, as `mongodump` does |
//! | [`published`] | flights, movies, earthquakes, countries |
//! | [`bson_writer`], [`random`] | bytes and numbers for those above |

pub mod bson_writer;
pub mod corpus;
pub mod dump;
pub mod events;
pub mod load;
pub mod published;
pub mod random;
pub mod shape;
