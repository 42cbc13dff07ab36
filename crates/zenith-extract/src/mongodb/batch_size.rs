//! How many documents to ask for so that a reply has about the size aimed at.

/// Without an idea of how large documents are: small enough to learn it soon.
const DOCUMENTS_UNKNOWN: i32 = 512;

/// Follows the size of documents as they come.
#[derive(Debug)]
pub(super) struct BatchSize {
    target_bytes: u64,
    document_bytes: Option<u64>,
}

impl BatchSize {
    /// `document_bytes` is the average size by the server's metadata, where it is known.
    pub(super) fn new(target_bytes: usize, document_bytes: Option<u64>) -> BatchSize {
        BatchSize { target_bytes: u64::try_from(target_bytes).unwrap_or(u64::MAX), document_bytes }
    }

    /// How many to ask for next.
    pub(super) fn documents(&self) -> i32 {
        match self.document_bytes {
            None | Some(0) => DOCUMENTS_UNKNOWN,
            Some(bytes) => i32::try_from(self.target_bytes / bytes).unwrap_or(i32::MAX).max(1),
        }
    }

    /// Learns from a reply. Half of what was known stays, so that one odd reply does not decide the next.
    pub(super) fn observe(&mut self, documents: usize, bytes: usize) {
        let Some(average) = bytes.checked_div(documents).and_then(|average| u64::try_from(average).ok())
        else {
            return;
        };
        self.document_bytes =
            Some(self.document_bytes.map_or(average, |known| (known + average).div_ceil(2)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_come_to_the_size_aimed_at() {
        let mut size = BatchSize::new(1_000_000, None);
        assert_eq!(size.documents(), DOCUMENTS_UNKNOWN);
        size.observe(512, 512 * 100);
        assert_eq!(size.documents(), 10_000);
        for _ in 0..20 {
            size.observe(10, 10_000);
        }
        assert_eq!(size.documents(), 1_000);
        size.observe(0, 0);
        assert_eq!(size.documents(), 1_000);
        size.observe(1, 16_000_000);
        assert_eq!(size.documents(), 1);
    }
}
