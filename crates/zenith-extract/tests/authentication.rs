//! Passwords, certificates and privileges against servers that demand them.

use bson::{Document, doc, rawdoc};
use mongodb::Client;
use zenith_extract::{ExtractError, MongoSource, Namespace, Source, Transport};
use zenith_testkit::tls::Certificate;
use zenith_testkit::{Credentials, MongoOptions, MongoServer, TlsProxy};

use crate::servers;

/// Characters that SCRAM and connection strings both have opinions about, and one that SASLprep changes.
const PASSWORD: &str = "p@ss/w:rd=,ª";
const PASSWORD_IN_URI: &str = "p%40ss%2Fw%3Ard%3D%2C%C2%AA";

async fn start(certificate: Option<Certificate>) -> MongoServer {
    let credentials = Credentials { user: "root".to_owned(), password: "secret".to_owned() };
    let options = MongoOptions { credentials: Some(credentials), certificate, ..MongoOptions::default() };
    MongoServer::start(options).await.unwrap()
}

async fn create_user(client: &Client, database: &str, user: Document) {
    let mut command = user;
    command.insert("roles", [doc! { "role": "read", "db": "shop" }]);
    client.database(database).run_command(command).await.unwrap();
}

/// Reads one document by either transport, the direct one really being direct.
async fn check_reading(uri: &str, namespace: &Namespace) {
    for transport in [Transport::Driver, Transport::Direct] {
        let source = MongoSource::connect(uri).await.unwrap().with_transport(transport);
        source.preflight(namespace).await.unwrap();
        let partition = servers::whole(&source, namespace).await;
        // Twice: the second connection uses the salted password of the first.
        for _ in 0..2 {
            let found = servers::read(&source, &partition, 1000).await.unwrap();
            assert_eq!(found.documents.len(), 1);
            assert_eq!(found.landed, usize::from(transport == Transport::Direct), "{uri} by {transport:?}");
        }
    }
}

#[tokio::test]
async fn scram_of_either_kind_and_its_refusals() {
    let server = start(None).await;
    let client = server.client().await.unwrap();
    let orders = Namespace::new("shop", "orders");
    servers::collection(&client, &orders).insert_one(rawdoc! { "_id": 1 }).await.unwrap();
    let both = ["SCRAM-SHA-1", "SCRAM-SHA-256"];
    for (user, mechanisms) in [("old", &both[..1]), ("new", &both[1..]), ("both", &both[..])] {
        let command = doc! { "createUser": user, "pwd": PASSWORD, "mechanisms": mechanisms };
        create_user(&client, "admin", command).await;
    }
    let host = format!("127.0.0.1:{}", server.port());
    for (user, options) in [
        ("old", ""),
        ("new", ""),
        ("both", ""),
        ("both", "&authMechanism=SCRAM-SHA-1"),
        ("both", "&authMechanism=SCRAM-SHA-256&compressors=zstd"),
    ] {
        let uri = format!("mongodb://{user}:{PASSWORD_IN_URI}@{host}/shop?authSource=admin{options}");
        check_reading(&uri, &orders).await;
    }

    let with = |user: &str, password: &str| format!("mongodb://{user}:{password}@{host}/?authSource=admin");
    let look = async |uri: String, namespace: Namespace| {
        let error = MongoSource::connect(&uri).await.unwrap().preflight(&namespace).await.unwrap_err();
        assert!(error.is_input() && !error.to_string().contains(PASSWORD), "{error}");
        error
    };
    let error = look(with("both", "wrong-one"), orders.clone()).await;
    assert!(matches!(error, ExtractError::Authentication { .. }), "{error}");
    assert!(!error.to_string().contains("wrong-one"), "{error}");
    let error = look(format!("mongodb://{host}/"), orders.clone()).await;
    assert!(matches!(error, ExtractError::Unauthorized { .. }), "{error}");
    let hidden = Namespace::new("accounts", "secret");
    servers::collection(&client, &hidden).insert_one(rawdoc! { "_id": 1 }).await.unwrap();
    look(with("both", PASSWORD_IN_URI), hidden).await;
}

#[tokio::test]
async fn tls_with_scram_and_with_a_certificate_of_our_own() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = Certificate::create(directory.path()).unwrap();
    let server = start(Some(certificate.clone())).await;
    let client = server.client().await.unwrap();
    let orders = Namespace::new("shop", "orders");
    servers::collection(&client, &orders).insert_one(rawdoc! { "_id": 1 }).await.unwrap();
    let uri = server.uri();
    check_reading(&uri, &orders).await;
    check_reading(&format!("{uri}&compressors=snappy"), &orders).await;

    create_user(&client, "$external", doc! { "createUser": "CN=localhost" }).await;
    let (host, parameters) = uri.split_once('@').and_then(|(_, rest)| rest.split_once("/?")).unwrap();
    let parameters: String = parameters
        .split('&')
        .filter(|one| !one.starts_with("authSource"))
        .map(|one| format!("{one}&"))
        .collect();
    let key = certificate.chain_and_key_file().display().to_string().replace('/', "%2F");
    let x509 = format!(
        "mongodb://{host}/?{parameters}authMechanism=MONGODB-X509&authSource=%24external&tlsCertificateKeyFile={key}"
    );
    check_reading(&x509, &orders).await;

    // A server whose authority is not trusted, and a file that is not there.
    let untrusted = uri.replace("tlsCAFile=", "appName=");
    let error = MongoSource::connect(&untrusted).await.unwrap().preflight(&orders).await.unwrap_err();
    assert!(error.is_input() && error.to_string().to_lowercase().contains("cert"), "{error}");
    let missing = uri.replace("ca.pem", "no-such-file.pem");
    let error = MongoSource::connect(&missing).await.unwrap_err();
    assert!(matches!(error, ExtractError::Tls { .. }), "{error}");
}

/// One sentence each, with the setting that remedies it.
#[tokio::test]
async fn what_tls_says_names_the_setting_that_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let server =
        MongoServer::start(MongoOptions { cache_mib: 256, ..MongoOptions::default() }).await.unwrap();
    let upstream = format!("127.0.0.1:{}", server.port());
    let right = Certificate::create(&folder.path().join("right")).unwrap();
    let elsewhere = Certificate::create_for_another_host(&folder.path().join("elsewhere")).unwrap();
    let expired = Certificate::create_expired(&folder.path().join("expired")).unwrap();
    let namespace = Namespace::new("shop", "orders");
    let error = async |port: u16, parameters: String| {
        let uri = format!(
            "mongodb://127.0.0.1:{port}/shop?directConnection=true&serverSelectionTimeoutMS=3000&tls=true{parameters}"
        );
        let error = MongoSource::connect(&uri).await.unwrap().preflight(&namespace).await.unwrap_err();
        let text = error.to_string();
        assert!(
            error.is_input() && text.contains(&format!("127.0.0.1:{port}")) && !text.contains('\n'),
            "{text}"
        );
        (error, text)
    };
    let file = |path: std::path::PathBuf| path.display().to_string().replace('/', "%2F");
    let trusting = |certificate: &Certificate| format!("&tlsCAFile={}", file(certificate.authority_file()));
    let is_told = |(error, text): (ExtractError, String), words: &[&str]| {
        assert!(matches!(error, ExtractError::Tls { .. }), "{error:?}");
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    };

    let proxy = TlsProxy::start(&upstream, &right).await.unwrap();
    for trusted in [String::new(), trusting(&elsewhere)] {
        is_told(error(proxy.port(), trusted).await, &["has signed", "tlsCAFile=PATH"]);
    }
    let proxy = TlsProxy::start(&upstream, &elsewhere).await.unwrap();
    is_told(error(proxy.port(), trusting(&elsewhere)).await, &["another host name", "elsewhere.example"]);
    let proxy = TlsProxy::start(&upstream, &expired).await.unwrap();
    is_told(error(proxy.port(), trusting(&expired)).await, &["has expired"]);

    let proxy = TlsProxy::start_for_known_clients(&upstream, &right).await.unwrap();
    is_told(
        error(proxy.port(), trusting(&right)).await,
        &["wants a certificate", "tlsCertificateKeyFile=PATH"],
    );
    let shown =
        format!("{}&tlsCertificateKeyFile={}", trusting(&right), file(elsewhere.chain_and_key_file()));
    is_told(error(proxy.port(), shown).await, &["does not accept the certificate in tlsCertificateKeyFile"]);

    // The server itself speaks no TLS; it only hangs up, as one that is stopped does.
    let (_, text) = error(server.port(), trusting(&right)).await;
    assert!(text.contains("speak TLS") && text.contains("tls=true"), "{text}");
}
