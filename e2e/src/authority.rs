//! An authority of a story's own, and the certificates that it signs.

use crate::install;
use crate::scratch::Scratch;
use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};

/// An authority.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
    name: String,
}

/// A certificate with its private key, both in PEM.
#[derive(Debug)]
pub struct Certificate {
    /// The file of the certificate.
    pub certificate: PathBuf,
    /// The file of its key.
    pub key: PathBuf,
}

impl Authority {
    /// One that nobody knows yet.
    ///
    /// # Errors
    /// openssl is missing.
    pub fn new(scratch: &Scratch, name: &str) -> Result<Self> {
        let folder = scratch.data("certificates");
        std::fs::create_dir_all(&folder)?;
        let authority = Self {
            folder,
            name: name.to_owned(),
        };
        openssl(
            &format!("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -keyout @ -out @"),
            &[&authority.file("key"), &authority.certificate()],
        )?;
        Ok(authority)
    }

    /// The file of its own certificate.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.file("pem")
    }

    /// Signs a certificate for the server `name` at 127.0.0.1.
    ///
    /// # Errors
    /// openssl is missing.
    pub fn sign(&self, name: &str) -> Result<Certificate> {
        let [key, request, extensions, certificate] =
            ["key", "csr", "ext", "pem"].map(|kind| self.folder.join(format!("{name}.{kind}")));
        openssl(
            &format!("req -newkey rsa:2048 -nodes -subj /CN={name} -keyout @ -out @"),
            &[&key, &request],
        )?;
        std::fs::write(&extensions, "subjectAltName=IP:127.0.0.1\n")?;
        openssl(
            "x509 -req -days 2 -CAcreateserial -CA @ -CAkey @ -extfile @ -in @ -out @",
            &[
                &self.certificate(),
                &self.file("key"),
                &extensions,
                &request,
                &certificate,
            ],
        )?;
        Ok(Certificate { certificate, key })
    }

    fn file(&self, kind: &str) -> PathBuf {
        self.folder.join(format!("{}.{kind}", self.name))
    }
}

/// A private key for RSA and its public key, as files in PEM.
///
/// # Errors
/// openssl is missing.
pub fn key_pair(folder: &Path, name: &str) -> Result<(PathBuf, PathBuf)> {
    std::fs::create_dir_all(folder)?;
    let [private, public] =
        ["private", "public"].map(|kind| folder.join(format!("{name}-{kind}.pem")));
    openssl("genpkey -algorithm RSA -out @", &[&private])?;
    openssl("pkey -pubout -in @ -out @", &[&private, &public])?;
    Ok((private, public))
}

/// What the line says, word by word, with a file for each `@`.
fn openssl(line: &str, files: &[&Path]) -> Result<()> {
    let mut command = install::program("openssl", "openssl")?;
    let mut files = files.iter();
    for word in line.split(' ') {
        match word {
            "@" => command.args(files.next()),
            word => command.arg(word),
        };
    }
    let done = command.output()?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "openssl {line}: {said}");
    Ok(())
}
