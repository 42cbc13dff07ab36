//! Files as `mongodump` writes them: the suite, and what can be wrong with a file.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bson::{RawDocumentBuf, doc, rawdoc};
use tempfile::TempDir;
use zenith_extract::test_suite::{documents, read_all};
use zenith_extract::{
    CollectionKind, DocumentReader, ExtractError, FileSource, Namespace, PartitionBounds, PartitionStrategy,
    ReadOptions, ReplyBudget, Source, source_test_suite,
};
use zenith_memory::Pool;
use zenith_testkit::dump;

use crate::servers::{self, MIB};

/// Folders that stay until the tests end.
fn folder() -> PathBuf {
    static FOLDERS: Mutex<Vec<TempDir>> = Mutex::new(Vec::new());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).push(folder);
    path
}

fn orders() -> Namespace {
    Namespace::new("shop", "orders")
}

/// A dump with these documents as shop.orders.
fn dumped(name: &str, documents: &[RawDocumentBuf]) -> PathBuf {
    let path = folder().join("shop").join(name);
    dump::write(&path, documents.iter().map(|document| document.as_bytes())).unwrap();
    path
}

async fn plain(documents: Vec<RawDocumentBuf>) -> (FileSource, Namespace) {
    (FileSource::open(dumped("orders.bson", &documents)).unwrap(), orders())
}

async fn compressed(documents: Vec<RawDocumentBuf>) -> (FileSource, Namespace) {
    (FileSource::open(dumped("orders.bson.gz", &documents)).unwrap(), orders())
}

source_test_suite!(plain_files, plain, ranges);
source_test_suite!(compressed_files, compressed, ranges);

/// What preflight says is wrong.
async fn refusal(path: &Path) -> String {
    let source = FileSource::open(path).unwrap();
    let error = source.preflight(source.single().unwrap()).await.unwrap_err();
    assert!(error.is_input() && !error.is_transient(), "{error:?}");
    error.to_string()
}

async fn natural(source: &FileSource, desired: usize) -> Vec<RawDocumentBuf> {
    let parts = source.partitions(&orders(), desired, PartitionStrategy::Natural).await.unwrap();
    assert_eq!(parts.len(), desired);
    let mut found = Vec::new();
    for part in parts {
        found.extend(read_all(source, &part, 10_000).await);
    }
    found
}

#[tokio::test]
async fn plain_files_are_divided_evenly_and_compressed_ones_are_not() {
    let expected = documents(10_000);
    let (source, namespace) = plain(expected.clone()).await;
    assert!(natural(&source, 4).await == expected);
    let parts = source.partitions(&namespace, 4, PartitionStrategy::Natural).await.unwrap();
    let mut sizes = Vec::new();
    for part in &parts {
        assert!(matches!(part.bounds, PartitionBounds::Records(_)));
        sizes.push(read_all(&source, part, MIB).await.len());
    }
    assert!(sizes.iter().all(|size| (2_300..2_700).contains(size)), "{sizes:?}");
    let (source, _) = compressed(expected.clone()).await;
    let parts = source.partitions(&namespace, 4, PartitionStrategy::Natural).await.unwrap();
    assert_eq!(parts.len(), 1);
    assert!(read_all(&source, &parts[0], 10_000).await == expected);
}

#[tokio::test]
async fn several_members_of_gzip_are_one_file() {
    let expected = documents(2_000);
    let (first, second) = expected.split_at(700);
    let (path, other) = (dumped("orders.bson.gz", first), dumped("orders.bson.gz", second));
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&fs::read(other).unwrap()).unwrap();
    assert!(natural(&FileSource::open(&path).unwrap(), 1).await == expected);
}

#[tokio::test]
async fn documents_larger_than_a_batch_or_the_pool_come_whole() {
    let large = |id: i32, bytes: usize| rawdoc! { "_id": id, "text": "x".repeat(bytes) };
    let expected: Vec<_> = (0..8)
        .map(|id| large(id, if id % 3 == 1 { 3 * MIB } else { 100 + usize::try_from(id).unwrap() }))
        .collect();
    for name in ["orders.bson", "orders.bson.gz"] {
        let source = FileSource::open(dumped(name, &expected)).unwrap();
        let part = source.partitions(&orders(), 1, PartitionStrategy::Natural).await.unwrap().remove(0);
        let pool = Pool::new(2 * MIB).unwrap();
        let options = ReadOptions::new(ReplyBudget::new(pool.clone())).with_batch_bytes(1_000);
        let mut reader = source.open(&part, options).await.unwrap();
        let mut found = Vec::new();
        while let Some(batch) = reader.next().await.unwrap() {
            found.extend(
                batch.documents().map(|document| RawDocumentBuf::from_bytes(document.to_vec()).unwrap()),
            );
        }
        assert!(found == expected, "{name}");
        assert_eq!(pool.stats().in_use, 0);
    }
}

#[tokio::test]
async fn a_file_that_is_cut_off_says_where() {
    let all = documents(1_000);
    let path = dumped("orders.bson", &all);
    let bytes = fs::read(&path).unwrap();
    let last = all[999].as_bytes().len();
    fs::write(&path, &bytes[..bytes.len() - 10]).unwrap();
    let whole = bytes.len() - last;
    assert_eq!(
        refusal(&path).await,
        format!(
            "{name} is cut off: only {} of {last} bytes are there of the document that begins at byte {whole}, after 999 \
             whole documents; dump the collection again, or keep the whole ones by truncate -s {whole} {name}",
            last - 10,
            name = path.display(),
        )
    );
    // What it says to do helps.
    fs::write(&path, &bytes[..whole]).unwrap();
    assert!(natural(&FileSource::open(&path).unwrap(), 1).await == all[..999]);
    fs::write(&path, &bytes[..whole + 3]).unwrap();
    assert!(refusal(&path).await.contains("only 3 bytes are there"));

    let path = dumped("orders.bson.gz", &all);
    let packed = fs::read(&path).unwrap();
    for cut in [packed.len() / 2, packed.len() - 4] {
        fs::write(&path, &packed[..cut]).unwrap();
        let said = refusal(&path).await;
        assert!(said.contains("is cut off: its compressed data end after "), "{said}");
    }
    dump::write(&path, [&bytes[..bytes.len() - 10]]).unwrap();
    let said = refusal(&path).await;
    assert!(said.contains("after 999 whole documents; dump") && !said.contains("truncate"), "{said}");
}

#[tokio::test]
async fn a_file_that_is_not_bson_says_so() {
    let path = dumped("orders.bson", &[]);
    for (content, part) in [
        (&b"{\"_id\": 1}\n"[..], "it looks like JSON"),
        (b"hello, world", "its first document says it is 1819043176 bytes long"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\0", "it looks compressed by gzip"),
        (&[12, 0, 0, 0, 0x10, b'a', 0, 1, 0, 0, 0, 7], "its first document does not end where it says"),
        (&[0, 0, 0, 0, 0, 0], "its first document says it is 0 bytes long"),
        (&[255; 9], "its first document says it is -1 bytes long"),
        (&[100, 0, 0, 0, b'x', b'y', b'z'], "its first element is of no type there is"),
    ] {
        fs::write(&path, content).unwrap();
        let said = refusal(&path).await;
        assert!(said.contains("holds no BSON documents") && said.contains(part), "{said}");
    }
    let path = dumped("orders.bson.gz", &[]);
    fs::write(&path, documents(3)[0].as_bytes()).unwrap();
    let said = refusal(&path).await;
    assert!(said.contains("is not compressed by gzip"), "{said}");

    // Somewhere within a file.
    let mut bytes: Vec<u8> = documents(10).iter().flat_map(|document| document.as_bytes().to_vec()).collect();
    let at = bytes.len();
    bytes.extend_from_slice(&[3, 0, 0, 0]);
    bytes.extend_from_slice(documents(1)[0].as_bytes());
    let path = dumped("orders.bson", &[]);
    fs::write(&path, &bytes).unwrap();
    let said = refusal(&path).await;
    let part =
        format!("the document that begins at byte {at} says it is 3 bytes long, after 10 whole documents");
    assert!(said.contains(&part), "{said}");
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_noticed() {
    let (all, path) = (documents(5_000), dumped("orders.bson", &documents(5_000)));
    let source = FileSource::open(&path).unwrap();
    let part = source.partitions(&orders(), 1, PartitionStrategy::Natural).await.unwrap().remove(0);
    let options = ReadOptions::new(ReplyBudget::new(Pool::new(8 * MIB).unwrap())).with_batch_bytes(10_000);
    let mut reader = source.open(&part, options).await.unwrap();
    reader.next().await.unwrap().unwrap();
    // Cut between two documents, so that only the survey knows that there were more.
    let kept: usize = all[..2_000].iter().map(|document| document.as_bytes().len()).sum();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(u64::try_from(kept).unwrap()).unwrap();
    let error = loop {
        match reader.next().await {
            Ok(batch) => assert!(batch.is_some(), "an end too early"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ExtractError::Replaced { .. }), "{error:?}");
    // A later look finds what is there then.
    assert_eq!(source.preflight(&orders()).await.unwrap().collection.size.unwrap().documents, 2_000);
}

#[tokio::test]
async fn types_of_id_are_those_of_all_documents_in_whatever_order() {
    let ids: Vec<bson::RawBson> = vec![7.into(), "text".into(), 3.into()];
    let documents: Vec<_> = ids.into_iter().map(|id| rawdoc! { "_id": id }).collect();
    let (source, namespace) = plain(documents).await;
    assert!(!source.id_types(&namespace).await.unwrap().unwrap().one_class());
    let (source, namespace) = plain(vec![rawdoc! { "_id": 1 }, rawdoc! { "a": 1 }]).await;
    assert_eq!(source.id_types(&namespace).await.unwrap(), None);
}

#[tokio::test]
async fn folders_hold_the_collections_of_databases() {
    let root = folder();
    let write = |name: &str, documents: &[RawDocumentBuf]| {
        dump::write(&root.join(name), documents.iter().map(|document| document.as_bytes())).unwrap();
    };
    write("shop/orders.bson", &documents(3));
    write("shop/a%2Fb.2024.bson.gz", &documents(2));
    write("shop/$admin.system.users.bson", &documents(1));
    write("crm/orders.bson", &documents(1));
    write("crm/people.bson", &documents(1));
    fs::write(root.join("crm/notes.txt"), "no dump").unwrap();
    fs::write(root.join("prelude.json"), "{}").unwrap();
    let source = FileSource::open(&root).unwrap();
    let names: Vec<String> = source.collections().map(ToString::to_string).collect();
    assert_eq!(names, ["crm.orders", "crm.people", "shop.a/b.2024", "shop.orders"]);
    assert_eq!(source.single(), None);
    for (name, found) in [
        ("people", Ok("crm.people")),
        ("shop.orders", Ok("shop.orders")),
        ("a/b.2024", Ok("shop.a/b.2024")),
        ("shop.a/b.2024", Ok("shop.a/b.2024")),
        ("orders", Err("several collections of the name orders: say crm.orders or shop.orders")),
        ("ordres", Err("collections there: crm.orders, crm.people, shop.a/b.2024, shop.orders")),
        ("shop.ordres", Err("there is no collection shop.ordres at file:")),
    ] {
        match (source.find(name), found) {
            (Ok(namespace), Ok(wanted)) => assert_eq!(namespace.to_string(), wanted),
            (Err(error), Err(part)) => {
                assert!(error.is_input() && error.to_string().contains(part), "{error}");
            }
            (found, wanted) => panic!("{name}: {found:?} instead of {wanted:?}"),
        }
    }
    let shop = FileSource::open(root.join("shop")).unwrap();
    assert_eq!(shop.find("orders").unwrap(), orders());
    assert_eq!(shop.preflight(&orders()).await.unwrap().collection.size.unwrap().documents, 3);
    let source = FileSource::open(root.join("shop/orders.bson")).unwrap();
    assert_eq!(source.single(), Some(&orders()));
    let renamed = source.named("sales");
    assert_eq!(renamed.find("sales").unwrap(), Namespace::new("shop", "sales"));
    assert_eq!(renamed.single(), Some(&Namespace::new("shop", "sales")));
    assert_eq!(FileSource::open(&root).unwrap().named("sales").collections().count(), 4);

    // A name too long for a file is cut, and stands in the metadata.
    let cut = format!("shop/{}%24{}", "n".repeat(208), "h".repeat(27));
    write(&format!("{cut}.bson"), &documents(1));
    let long = "n".repeat(300);
    fs::write(root.join(format!("{cut}.metadata.json")), format!("{{\"collectionName\":\"{long}\"}}"))
        .unwrap();
    assert_eq!(
        FileSource::open(root.join("shop")).unwrap().find(&long).unwrap(),
        Namespace::new("shop", long)
    );

    write("shop/orders.bson.gz", &documents(3));
    let both = FileSource::open(root.join("shop")).unwrap().preflight(&orders()).await.unwrap_err();
    assert!(both.is_input() && both.to_string().contains("is there twice"), "{both}");
    let missing = FileSource::open(root.join("nowhere")).unwrap_err();
    assert!(missing.is_input() && missing.to_string().starts_with("cannot read "), "{missing}");
}

/// What MongoDB says of collections is found in the metadata.
#[tokio::test]
async fn metadata_tells_views_time_series_and_options() {
    let uri = servers::uri().await;
    let client = servers::client(&uri).await;
    let namespace = servers::namespace();
    let database = client.database(&namespace.database);
    let name = |kind: &str| format!("{}_{kind}", namespace.collection);
    for (kind, options) in [
        ("capped", doc! { "capped": true, "size": 1_000_000 }),
        ("images", doc! { "changeStreamPreAndPostImages": { "enabled": true } }),
        ("series", doc! { "timeseries": { "timeField": "at", "metaField": "of" } }),
    ] {
        servers::create(&client, &Namespace::new(&namespace.database, name(kind)), options).await;
    }
    let at = bson::DateTime::from_millis(1_700_000_000_000);
    for kind in ["capped", "images", "series"] {
        database.collection(&name(kind)).insert_one(doc! { "_id": 1, "at": at, "of": "x" }).await.unwrap();
    }
    let view = Namespace::new(&namespace.database, name("view"));
    servers::create(&client, &view, doc! { "viewOn": name("capped"), "pipeline": [] }).await;
    for gzip in [false, true] {
        let root = folder();
        for kind in ["capped", "images", "series", "view"] {
            dump::collection(&database, &name(kind), &root, gzip).await.unwrap();
        }
        let source = FileSource::open(&root).unwrap();
        assert_eq!(source.collections().count(), 4);
        let look =
            async |kind: &str| source.preflight(&Namespace::new(&namespace.database, name(kind))).await;
        let capped = look("capped").await.unwrap().collection;
        assert_eq!((capped.kind, capped.size.unwrap().documents), (CollectionKind::Capped, 1));
        assert!(capped.uuid.is_some() && !capped.pre_and_post_images);
        let images = look("images").await.unwrap().collection;
        assert!(images.kind == CollectionKind::Collection && images.pre_and_post_images);
        let error = look("series").await.unwrap_err();
        assert!(error.is_input() && error.to_string().contains("restore it with mongorestore"), "{error}");
        let error = look("view").await.unwrap_err();
        let part = format!("is a view, of which a dump has no documents: copy {}", name("capped"));
        assert!(error.is_input() && error.to_string().contains(&part), "{error}");

        // The file of the buckets, named itself, without what stands beside it.
        let end = if gzip { ".bson.gz" } else { ".bson" };
        let buckets = root.join(&namespace.database).join(format!("system.buckets.{}{end}", name("series")));
        fs::remove_file(buckets.with_file_name(format!(
            "{}.metadata.json{}",
            name("series"),
            if gzip { ".gz" } else { "" }
        )))
        .unwrap();
        assert!(refusal(&buckets).await.contains("is a time series"));
    }
}

#[tokio::test]
async fn metadata_that_cannot_be_read_is_named() {
    let path = dumped("orders.bson", &documents(1));
    fs::write(path.with_file_name("orders.metadata.json"), "no JSON").unwrap();
    let said = refusal(&path).await;
    assert!(said.contains("orders.metadata.json is not what mongodump writes"), "{said}");
}
