//! Generated and published documents arrive in MongoDB, and are the same every time.

use bson::{Document, RawDocumentBuf, doc};
use zenith_testkit::{Published, Shape, TestServers, load};

#[tokio::test]
async fn generated_documents_arrive_unchanged() {
    let databases = TestServers::shared().await.databases("generated").await.unwrap();
    for (shape, count) in [
        (Shape::Events, 25_000),
        (Shape::Wide, 500),
        (Shape::Tiny, 12_345),
        (Shape::Deep, 1_000),
        (Shape::Strings, 3_000),
        (Shape::Large, 20),
    ] {
        let loaded = load::generate(&databases.mongodb, shape.name(), shape, 7, 0..count).await.unwrap();
        assert_eq!(loaded.documents, count);
        let collection = databases.mongodb.collection::<RawDocumentBuf>(shape.name());
        assert_eq!(collection.count_documents(doc! {}).await.unwrap(), count);
        // Identifiers ascend with the numbers, so the order of the one is the order of the other.
        let mut cursor = collection.find(doc! {}).sort(doc! { "_id": 1 }).limit(50).await.unwrap();
        for number in 0..count.min(50) {
            assert!(cursor.advance().await.unwrap());
            assert_eq!(cursor.current().as_bytes(), shape.document(7, number).as_bytes());
        }
    }
    databases.remove().await.unwrap();
}

#[tokio::test]
async fn published_data_sets_load() {
    let databases = TestServers::shared().await.databases("published").await.unwrap();
    for (data_set, count) in [
        (Published::Flights, 200_000),
        (Published::Movies, 3_201),
        (Published::Earthquakes, 1_707),
        (Published::Countries, 250),
    ] {
        assert_eq!(data_set.load(&databases.mongodb).await.unwrap().documents, count, "{}", data_set.name());
    }
    let countries = databases.mongodb.collection::<Document>(Published::Countries.name());
    let country = countries.find_one(doc! { "cca3": "ABW" }).await.unwrap().unwrap();
    assert_eq!(country.get_document("name").unwrap().get_str("common").unwrap(), "Aruba");
    assert_eq!(country.keys().take(3).collect::<Vec<_>>(), ["_id", "name", "tld"]);
    databases.remove().await.unwrap();
}
