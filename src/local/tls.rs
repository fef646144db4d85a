//! TLS with a CA of its own, made anew at each start.
//!
//! Out: certificates, a server configuration, and the CA's certificate as a file. The CA's key is never written.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

/// A CA, for as long as the process lives.
pub(crate) struct Ca {
    certificate: Certificate,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    /// Makes one.
    pub(crate) fn new(name: &str) -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let mut ca = CertificateParams::new(Vec::new())?;
        ca.distinguished_name.push(DnType::CommonName, name);
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = ca.self_signed(&key)?;
        Ok(Self {
            pem: certificate.pem(),
            certificate,
            issuer: Issuer::new(ca, key),
        })
    }

    /// Its own certificate in PEM.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// Its own certificate in DER.
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    /// A certificate for this host, and its key.
    pub(crate) fn server_certificate(
        &self,
    ) -> anyhow::Result<(CertificateDer<'static>, PrivateKeyDer<'static>)> {
        let key = KeyPair::generate()?;
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut leaf = CertificateParams::new(names)?;
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = self.sign(leaf, "kvs-local", &key)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok((certificate.der().clone(), key))
    }

    /// A certificate in PEM for the device that has this key.
    pub(crate) fn client_certificate(&self, key: &KeyPair) -> anyhow::Result<String> {
        let mut leaf = CertificateParams::new(Vec::new())?;
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Ok(self.sign(leaf, "kvs-local device", key)?.pem())
    }

    fn sign(
        &self,
        mut leaf: CertificateParams,
        name: &str,
        key: &KeyPair,
    ) -> anyhow::Result<Certificate> {
        leaf.distinguished_name.push(DnType::CommonName, name);
        leaf.use_authority_key_identifier_extension = true;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        Ok(leaf.signed_by(key, &self.issuer)?)
    }
}

/// The cryptography of all TLS here.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Makes a CA and a certificate for this host; writes the CA to `<dir>/ca.pem`.
pub(crate) fn generate(dir: &Path) -> anyhow::Result<(TlsAcceptor, PathBuf)> {
    let ca = Ca::new("kvs-local CA")?;
    let (certificate, key) = ca.server_certificate()?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];

    let file = dir.join("ca.pem");
    fs::write(&file, ca.pem()).with_context(|| format!("cannot write {}", file.display()))?;
    Ok((TlsAcceptor::from(Arc::new(config)), file))
}
