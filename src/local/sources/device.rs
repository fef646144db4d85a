//! The certificates and keys that a device would have been given, as files: each kind of key in each usual form.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use pem::{EncodeConfig, LineEnding, Pem};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};

use super::super::tls::Ca;
use super::write_private;

/// Writes them into `dir`; [`Sources::dir`](super::Sources::dir) lists them.
pub(super) fn write(dir: &Path, ca: &Ca) -> anyhow::Result<()> {
    let public = |name: &str, text: &str| {
        let file = dir.join(name);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
    };
    let private = |name: &str, text: &str| write_private(&dir.join(name), text);
    public("ca.pem", ca.pem())?;

    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
    public("rsa.pem", &ca.client_certificate(&rsa)?)?;
    private("rsa-pkcs8.key", &rsa.serialize_pem())?;
    let pkcs1 = contents_of_pkcs8(&rsa.serialize_der())?;
    private("rsa-pkcs1.key", &in_pem("RSA PRIVATE KEY", pkcs1))?;

    let ec = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    public("ec.pem", &ca.client_certificate(&ec)?)?;
    private("ec-pkcs8.key", &ec.serialize_pem())?;
    private("ec-sec1.key", &in_pem("EC PRIVATE KEY", sec1(&ec)?))?;

    let other = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    private("other.key", &other.serialize_pem())?;

    let stranger = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let another_ca = Ca::new("another CA")?;
    public("stranger.pem", &another_ca.client_certificate(&stranger)?)?;
    private("stranger.key", &stranger.serialize_pem())
}

/// What PKCS#8 wraps (RFC 5208, `privateKey`): for RSA a key in PKCS#1.
fn contents_of_pkcs8(der: &[u8]) -> anyhow::Result<Vec<u8>> {
    let contents = yasna::parse_der(der, |reader| {
        reader.read_sequence(|fields| {
            let version = fields.next().read_i64()?;
            let _algorithm = fields.next().read_der()?;
            let key = fields.next().read_bytes()?;
            Ok((version, key))
        })
    });
    let (version, key) = contents.context("the key is not PKCS#8")?;
    ensure!(version == 0, "version {version} of PKCS#8 is unknown here");
    Ok(key)
}

/// As `openssl ecparam -genkey` writes it, with the name of the curve; within PKCS#8 it may be left out.
fn sec1(key: &KeyPair) -> anyhow::Result<Vec<u8>> {
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &key.serialize_der())?;
    let der: EcPrivateKeyRfc5915Der<'_> = key.private_key().as_der()?;
    Ok(der.as_ref().to_vec())
}

fn in_pem(tag: &str, der: Vec<u8>) -> String {
    let unix = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new(tag, der), unix)
}
