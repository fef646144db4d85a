//! Whether this machine is an instance of EC2, whose metadata may answer later when they do not answer now.
//!
//! Without a network nobody can tell the two apart by asking, and a machine that is none is to hear at once that it has no
//! credentials. So the machine itself is asked, as cloud-init does ("Detect whether a host is an EC2 instance").

use std::{env, fs};

use aws_credential_types::provider::error::CredentialsError;

use crate::net::failure;

/// Of Nitro and bare metal, x86 and Graviton; and of Xen, where it begins with `ec2`.
const VENDOR: (&str, &str) = ("/sys/class/dmi/id/sys_vendor", "Amazon EC2");
const HYPERVISOR: (&str, &str) = ("/sys/hypervisor/uuid", "ec2");
/// Whoever names the place of metadata has some.
const ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
const DISABLED: &str = "AWS_EC2_METADATA_DISABLED";

/// The metadata could not be reached, and will be when the network is there.
pub(super) fn may_answer_later(error: &CredentialsError) -> bool {
    // Of `aws-config`, when nobody answered at all.
    failure::chain(error).contains("could not communicate with IMDS") && is_here()
}

/// There is one to ask.
pub(super) fn is_here() -> bool {
    let disabled = env::var(DISABLED).is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    let named = env::var_os(ENDPOINT).is_some_and(|value| !value.is_empty());
    !disabled && (named || [VENDOR, HYPERVISOR].into_iter().any(says))
}

fn says((file, beginning): (&str, &str)) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("Amazon EC2\n", VENDOR.1, true; "Nitro")]
    #[test_case("ec2e1916-9099-7caf-fd21-012345abcdef\n", HYPERVISOR.1, true; "Xen")]
    #[test_case("QEMU\n", VENDOR.1, false; "another machine")]
    fn a_machine_says_what_it_is(text: &str, beginning: &str, expected: bool) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("vendor");
        let file = file.to_str().unwrap();
        assert!(!says((file, beginning)), "there is no such file");
        fs::write(file, text).unwrap();
        assert_eq!(says((file, beginning)), expected);
    }
}
