//! The files of the page: those in the binary, or those of a folder while somebody works at them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use ring::digest::{SHA256, digest};
use rust_embed::RustEmbed;

/// A file that only `cargo xtask assets` brings; without it the page cannot work.
const NEEDED: &str = "vendor/preact.mjs";

#[derive(RustEmbed)]
#[folder = "assets/"]
#[include = "*.html"]
#[include = "*.css"]
#[include = "*.js"]
#[include = "*.mjs"]
#[include = "*.svg"]
#[exclude = "node_modules/*"]
struct Embedded;

/// One file as it is sent.
struct File {
    body: Vec<u8>,
    zipped: Option<Vec<u8>>,
    etag: HeaderValue,
    kind: &'static str,
}

/// The files of the page.
#[derive(Default)]
pub struct Assets {
    /// Read anew each time, in place of those in the binary.
    folder: Option<PathBuf>,
    embedded: OnceLock<HashMap<String, File>>,
}

impl Assets {
    /// Those in the binary, or those of a folder.
    #[must_use]
    pub fn new(folder: Option<PathBuf>) -> Assets {
        Assets { folder, embedded: OnceLock::new() }
    }

    /// A file under `/assets/`.
    pub fn file(&self, path: &str, headers: &HeaderMap) -> Option<Response> {
        match &self.folder {
            Some(folder) => Some(File::new(path, read(folder, path)?).response(headers)),
            None => Some(self.embedded().get(path)?.response(headers)),
        }
    }

    /// Whether everything is there that the page needs.
    #[must_use]
    pub fn has_page(&self) -> bool {
        match &self.folder {
            Some(folder) => read(folder, NEEDED).is_some(),
            None => Embedded::get(NEEDED).is_some(),
        }
    }

    /// The page itself, or one line about what is missing.
    pub fn page(&self, headers: &HeaderMap) -> Response {
        let page = if self.has_page() { "index.html" } else { "missing.html" };
        self.file(page, headers).unwrap_or_else(|| {
            (StatusCode::NOT_FOUND, "This binary has no page; the API is under /api/v1.\n").into_response()
        })
    }

    fn embedded(&self) -> &HashMap<String, File> {
        self.embedded.get_or_init(|| {
            let file = |path: Cow<'static, str>| {
                let data = Embedded::get(&path)?.data.into_owned();
                Some((path.to_string(), File::new(&path, data)))
            };
            Embedded::iter().filter_map(file).collect()
        })
    }
}

/// A file of a folder, and none outside it.
fn read(folder: &Path, path: &str) -> Option<Vec<u8>> {
    let path = Path::new(path);
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if !is_plain {
        return None;
    }
    std::fs::read(folder.join(path)).ok()
}

impl File {
    fn new(path: &str, body: Vec<u8>) -> File {
        let hash = digest(&SHA256, &body);
        let hash: String = hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let etag = HeaderValue::from_str(&format!("\"{hash}\"")).unwrap_or(HeaderValue::from_static("\"\""));
        let zipped = zip(&body).filter(|zipped| zipped.len() < body.len());
        File { zipped, etag, kind: kind(path), body }
    }

    fn response(&self, headers: &HeaderMap) -> Response {
        let common = [
            (CONTENT_TYPE, HeaderValue::from_static(self.kind)),
            (ETAG, self.etag.clone()),
            // Asked each time, and answered without a body most of the time: a new version is seen at once.
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (VARY, HeaderValue::from_static("accept-encoding")),
        ];
        if headers.get(IF_NONE_MATCH) == Some(&self.etag) {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        let takes_zipped = headers
            .get(ACCEPT_ENCODING)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.split(',').any(|one| one.trim().split(';').next() == Some("gzip")));
        match &self.zipped {
            Some(zipped) if takes_zipped => {
                (common, [(CONTENT_ENCODING, HeaderValue::from_static("gzip"))], zipped.clone())
                    .into_response()
            }
            _ => (common, self.body.clone()).into_response(),
        }
    }
}

fn zip(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

fn kind(path: &str) -> &'static str {
    match Path::new(path).extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_the_folder_is_read() {
        let folder = std::env::temp_dir().join(format!("zenith-assets-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("a")).unwrap();
        std::fs::write(folder.join("a/page.js"), "1").unwrap();
        std::fs::write(folder.with_extension("secret"), "2").unwrap();
        let secret = format!("../{}.secret", folder.file_name().unwrap().to_str().unwrap());
        assert!(folder.join(&secret).exists());
        let assets = Assets::new(Some(folder.clone()));
        let none = HeaderMap::new();
        assert!(assets.file("a/page.js", &none).is_some());
        for path in [secret.as_str(), "/etc/passwd", "a/../../etc/passwd", "./a/page.js/..", "b"] {
            assert!(assets.file(path, &none).is_none(), "{path}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::remove_file(folder.with_extension("secret")).unwrap();
    }

    #[test]
    fn files_are_sent_once_and_small() {
        let file = File::new("a.js", "x".repeat(1000).into_bytes());
        let with = |name, value: &HeaderValue| HeaderMap::from_iter([(name, value.clone())]);
        let zipped = file.response(&with(ACCEPT_ENCODING, &HeaderValue::from_static("br, gzip;q=0.8")));
        assert_eq!(zipped.headers()[CONTENT_ENCODING], "gzip");
        assert!(!file.response(&HeaderMap::new()).headers().contains_key(CONTENT_ENCODING));
        assert_eq!(file.response(&with(IF_NONE_MATCH, &file.etag)).status(), StatusCode::NOT_MODIFIED);
    }
}
