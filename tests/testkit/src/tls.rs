//! Certificates for servers on this machine, made anew by every test that wants some.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// An authority, and a server's certificate that it signed for `localhost` and `127.0.0.1`, as PEM files.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The authority's certificate: what clients must trust.
    pub authority: PathBuf,
    /// The server's certificate.
    pub certificate: PathBuf,
    /// The server's key.
    pub key: PathBuf,
}

impl Certificates {
    /// Makes them and writes them into a folder.
    pub fn write(folder: &Path) -> io::Result<Self> {
        let files = Self {
            authority: folder.join("authority.pem"),
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
        };
        let made = make().map_err(io::Error::other)?;
        fs::write(&files.authority, made.0)?;
        fs::write(&files.certificate, made.1)?;
        fs::write(&files.key, made.2)?;
        Ok(files)
    }
}

fn make() -> Result<(String, String, String), rcgen::Error> {
    let authority_key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key)?;
    let key = KeyPair::generate()?;
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let server = CertificateParams::new(names)?.signed_by(&key, &Issuer::new(params, authority_key))?;
    Ok((authority.pem(), server.pem(), key.serialize_pem()))
}
