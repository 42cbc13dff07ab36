//! Marks of those who write tables.

use std::time::Duration;

use zenith_transport::{FoundOwner, OwnerMark, Sink};

use super::support::{sink, sink_at};

fn mark(table: &str, owner: &str) -> OwnerMark {
    OwnerMark {
        table: table.to_owned(),
        owner: owner.to_owned(),
        life: "one".to_owned(),
        pipeline: "what's `this`\\?".to_owned(),
        host: "db-1".to_owned(),
        process: u32::MAX,
        ..OwnerMark::default()
    }
}

fn sorted(mut found: Vec<FoundOwner>) -> Vec<FoundOwner> {
    found.sort_by(|a, b| (&a.mark.table, &a.mark.owner).cmp(&(&b.mark.table, &b.mark.owner)));
    found
}

#[tokio::test]
async fn marks_are_found_as_they_were_written() {
    let (sink, database) = sink("owners").await;
    let admin = sink.admin();
    // More than go into one statement.
    let tables: Vec<String> = (0..450).map(|number| format!("t{number:03} 'of `mine`")).collect();
    assert_eq!(admin.owners("marks", &tables).await.unwrap(), []);
    let marks: Vec<OwnerMark> = tables.iter().map(|table| mark(table, "a")).collect();
    admin.mark_owners("marks", &marks).await.unwrap();
    let found = sorted(admin.owners("marks", &tables).await.unwrap());
    assert_eq!(found.len(), tables.len());
    for (found, mark) in found.iter().zip(&marks) {
        assert_eq!(OwnerMark { taken: None, ..found.mark.clone() }, *mark);
        assert!(found.mark.taken.is_some() && found.silent_for < Duration::from_secs(10), "{found:?}");
    }

    // An owner has one mark of a table, which keeps the time when it was taken where that is given.
    let first = found[0].mark.clone();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let silent = admin.owners("marks", &tables[..1]).await.unwrap().remove(0).silent_for;
    assert!(silent >= Duration::from_millis(1500), "{silent:?}");
    let renewed = OwnerMark { life: "two".to_owned(), is_released: true, ..first.clone() };
    admin.mark_owners("marks", &[renewed.clone(), mark(&tables[0], "b")]).await.unwrap();
    let found = sorted(admin.owners("marks", &tables[..1]).await.unwrap());
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0].mark, renewed);
    assert!(found[0].silent_for < silent && found[1].mark.taken > first.taken, "{found:?}");
    assert_eq!(admin.owners("marks", &["absent".to_owned()]).await.unwrap(), []);
    database.drop_database(database.database()).await.unwrap();
}

#[tokio::test]
async fn a_database_that_is_not_there_has_no_marks() {
    let (sink, database) = sink("owners_absent").await;
    database.drop_database(database.database()).await.unwrap();
    assert_eq!(sink.admin().owners("marks", &["t".to_owned()]).await.unwrap(), []);
    let error = sink.admin().mark_owners("marks", &[mark("t", "a")]).await.unwrap_err();
    assert!(error.is_unknown_database(), "{error:?}");
    let away = sink_at("http://127.0.0.1:1/d");
    assert!(away.admin().owners("marks", &["t".to_owned()]).await.unwrap_err().is_transient());
}
