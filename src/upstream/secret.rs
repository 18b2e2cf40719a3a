//! Reading a secret where it lies.
//!
//! It is read each time it is needed, so that a rotated one is taken up by the next request. A
//! cache keyed by the file's time was left out: it saves some 20 µs of a request that takes far
//! longer, and two rotations within one tick of a file system's clock would be one.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::model::{Secret, SecretSource};

/// No key or token is near this long; a path that points at something else is found out early.
const SIZE_BYTES_MAX: u64 = 64 * 1024;

/// Why a secret cannot be had. Names its place and never its content.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The environment variable is not set.
    #[error("the environment variable `{0}` is not set")]
    EnvMissing(String),
    /// The environment variable is not UTF-8.
    #[error("the environment variable `{0}` is not UTF-8 text")]
    EnvNotText(String),
    /// The file cannot be read.
    #[error("the secret file `{}` cannot be read", path.display())]
    FileUnreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not UTF-8.
    #[error("the secret file `{}` is not UTF-8 text", .0.display())]
    FileNotText(PathBuf),
    /// The file is larger than any secret.
    #[error("the secret file `{}` is larger than 64 KiB", .0.display())]
    FileTooLarge(PathBuf),
    /// Nothing is there.
    #[error("the secret `{0}` is empty")]
    Empty(SecretSource),
    /// It has a character that no HTTP header may carry.
    #[error("the secret `{0}` has a line break or another character that a header cannot carry")]
    NotAHeader(SecretSource),
    /// A header's name or value in the configuration cannot be sent.
    #[error("the header `{0}` has a name or a value that HTTP cannot carry")]
    BadHeader(String),
}

/// Reads a secret; one final line break is not part of it.
pub fn read_secret(source: &SecretSource) -> Result<Secret, SecretError> {
    let mut text = match source {
        SecretSource::Env(name) => std::env::var(name).map_err(|error| match error {
            std::env::VarError::NotPresent => SecretError::EnvMissing(name.clone()),
            std::env::VarError::NotUnicode(_) => SecretError::EnvNotText(name.clone()),
        })?,
        SecretSource::File(path) => read_file(path)?,
    };
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() {
        return Err(SecretError::Empty(source.clone()));
    }
    Ok(Secret::new(text))
}

fn read_file(path: &Path) -> Result<String, SecretError> {
    let unreadable = |source| SecretError::FileUnreadable { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(SIZE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > SIZE_BYTES_MAX {
        return Err(SecretError::FileTooLarge(path.to_owned()));
    }
    String::from_utf8(bytes).map_err(|_| SecretError::FileNotText(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, content: &[u8]) -> PathBuf {
        let path =
            std::env::temp_dir().join(format!("bellwether-secret-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        path
    }

    #[test]
    fn one_final_line_break_is_not_part_of_a_secret() {
        for (name, content, expected) in [
            ("plain", &b"key"[..], "key"),
            ("unix", b"key\n", "key"),
            ("dos", b"key\r\n", "key"),
            ("two", b"key\n\n", "key\n"),
            ("spaces", b" key \n", " key "),
        ] {
            let path = file(name, content);
            let secret = read_secret(&SecretSource::File(path.clone())).unwrap();
            assert_eq!(secret.expose(), expected, "{name}");
            std::fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn a_rotated_secret_is_taken_up_at_once() {
        let path = file("rotated", b"old");
        let source = SecretSource::File(path.clone());
        assert_eq!(read_secret(&source).unwrap().expose(), "old");
        std::fs::write(&path, "new").unwrap();
        assert_eq!(read_secret(&source).unwrap().expose(), "new");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn an_error_names_the_place_and_not_the_content() {
        let path = file("binary", b"sk-canary\xff");
        let error = read_secret(&SecretSource::File(path.clone())).unwrap_err();
        assert!(error.to_string().contains("bellwether-secret"), "{error}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        std::fs::remove_file(path).unwrap();

        let missing = SecretSource::Env("BELLWETHER_TEST_NO_SUCH_VARIABLE".to_owned());
        let error = read_secret(&missing).unwrap_err().to_string();
        assert_eq!(error, "the environment variable `BELLWETHER_TEST_NO_SUCH_VARIABLE` is not set");

        let empty = file("empty", b"\n");
        assert!(matches!(
            read_secret(&SecretSource::File(empty.clone())),
            Err(SecretError::Empty(_))
        ));
        std::fs::remove_file(empty).unwrap();
    }
}
