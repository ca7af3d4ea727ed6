//! The token that requests must bear: what the admin API checks, and what commands send.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::fmt;
use std::io::{self, Read};
use std::path::Path;

/// 4 KiB: a token is a line.
const TOKEN_MAX: u64 = 4096;
/// A token that can be guessed is none.
const TOKEN_MIN: usize = 16;

/// A token. Its Debug does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(String);

impl Token {
    /// The token in a file, without the newline that editors add.
    ///
    /// # Errors
    /// The file cannot be read, or what is in it is shorter than 16 characters.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let mut text = String::new();
        std::fs::File::open(path)?.take(TOKEN_MAX).read_to_string(&mut text)?;
        let token = text.trim();
        if token.len() < TOKEN_MIN {
            return Err(io::Error::other("the token is shorter than 16 characters"));
        }
        Ok(Self(token.to_owned()))
    }

    /// The `Authorization` field that bears it.
    pub(crate) fn field(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// Whether an `Authorization` field bears it (RFC 6750 §2.1), in time that does not depend on how much of it is right.
    pub(super) fn is_borne_by(&self, field: &[u8]) -> bool {
        let Some((scheme, token)) = field.split_at_checked(7) else { return false };
        let right = verify_slices_are_equal(token.trim_ascii(), self.0.as_bytes()).is_ok();
        scheme.eq_ignore_ascii_case(b"Bearer ") && right
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_borne_word_for_word() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "0123456789abcdef\n").unwrap();
        let token = Token::read(&path).unwrap();
        for (field, right) in [
            ("Bearer 0123456789abcdef", true),
            ("bearer  0123456789abcdef", true),
            ("Bearer 0123456789abcdeF", false),
            ("Bearer 0123456789abcdef0", false),
            ("Basic 0123456789abcdef", false),
            ("Bearer ", false),
            ("", false),
        ] {
            assert_eq!(token.is_borne_by(field.as_bytes()), right, "{field}");
        }
        std::fs::write(&path, "short\n").unwrap();
        assert!(Token::read(&path).is_err());
    }
}
