//! Certificates for tests: an authority made at run time and one certificate for this machine signed by it.
//!
//! Who shows them and who checks them is the business of the servers and of what is being tested.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use crate::error::{Error, Result};

/// A certificate for `localhost` and `127.0.0.1`, its key and the authority that signed it, as PEM files.
#[derive(Clone, Debug)]
pub struct Certificate {
    directory: PathBuf,
}

impl Certificate {
    /// Makes an authority and a certificate and writes them into a folder: `ca.pem`, `cert.pem`, `key.pem`, and
    /// `cert-and-key.pem`, as MongoDB wants it.
    pub fn create(directory: &Path) -> Result<Self> {
        Self::sign(directory, &["localhost", "127.0.0.1"], |_| {})
    }

    /// The same, for a host of another name.
    pub fn create_for_another_host(directory: &Path) -> Result<Self> {
        Self::sign(directory, &["elsewhere.example"], |_| {})
    }

    /// The same, out of date for a long time.
    pub fn create_expired(directory: &Path) -> Result<Self> {
        Self::sign(directory, &["localhost", "127.0.0.1"], |leaf| {
            leaf.not_before = date_time_ymd(2000, 1, 1);
            leaf.not_after = date_time_ymd(2001, 1, 1);
        })
    }

    fn sign(directory: &Path, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Result<Self> {
        let failed = |error: rcgen::Error| Error::Malformed(format!("cannot make a certificate: {error}"));
        let mut authority = CertificateParams::new(Vec::new()).map_err(failed)?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "zenith test authority");
        let authority_key = KeyPair::generate().map_err(failed)?;
        let authority_pem = authority.self_signed(&authority_key).map_err(failed)?.pem();
        let issuer = Issuer::new(authority, authority_key);

        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut leaf = CertificateParams::new(names).map_err(failed)?;
        change(&mut leaf);
        leaf.distinguished_name.push(DnType::CommonName, "localhost");
        let leaf_key = KeyPair::generate().map_err(failed)?;
        let leaf_pem = leaf.signed_by(&leaf_key, &issuer).map_err(failed)?.pem();
        let key_pem = leaf_key.serialize_pem();

        fs::create_dir_all(directory).map_err(Error::path("create", directory))?;
        let certificate = Self { directory: directory.to_owned() };
        for (path, text) in [
            (certificate.authority_file(), &authority_pem),
            (certificate.chain_file(), &leaf_pem),
            (certificate.key_file(), &key_pem),
            (certificate.chain_and_key_file(), &format!("{leaf_pem}{key_pem}")),
        ] {
            fs::write(&path, text).map_err(Error::path("write", &path))?;
        }
        Ok(certificate)
    }

    /// The authority's certificate: what a client is to trust.
    #[must_use]
    pub fn authority_file(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// The certificate a server shows.
    #[must_use]
    pub fn chain_file(&self) -> PathBuf {
        self.directory.join("cert.pem")
    }

    /// The private key (PKCS #8) of the certificate.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.directory.join("key.pem")
    }

    /// The certificate and its key in one file.
    #[must_use]
    pub fn chain_and_key_file(&self) -> PathBuf {
        self.directory.join("cert-and-key.pem")
    }
}
