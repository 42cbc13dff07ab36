//! What Zenith remembers: the StateStore trait.
