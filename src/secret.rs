//! [`Secret`]: text that must never be shown.
//!
//! Belongs here: the one type that holds keys and tokens. Does not belong here: where they come from.

use std::fmt;

use zeroize::Zeroizing;

/// A secret key or session token: no `Display`, a `Debug` that hides it, no serialisation; wiped when dropped.
///
/// ```
/// use gstkvssink::producer::Secret;
///
/// let secret = Secret::new("not a real one");
/// assert_eq!(format!("{secret:?}"), "Secret(…)");
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    ///
    /// ```
    /// use gstkvssink::producer::Secret;
    ///
    /// let from_text = Secret::new("token");
    /// assert_eq!(from_text, Secret::new(String::from("token")));
    /// ```
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself. The only way to it, so that `grep expose` lists every use.
    ///
    /// ```
    /// use gstkvssink::producer::Secret;
    ///
    /// assert_eq!(Secret::new("token").expose(), "token");
    /// ```
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_the_text() {
        assert_eq!(format!("{:?}", Secret::new("wJalr")), "Secret(…)");
    }
}
